package api

import (
	"context"
	"reflect"
)

// Scope is what a credential must allow for a call. The token of today's data directory has all
// of them.
type Scope string

// The scopes, from harmless to all-powerful.
const (
	ScopeRead    Scope = "read"
	ScopeInvoice Scope = "invoice"
	ScopeLSP     Scope = "lsp"
	ScopePay     Scope = "pay"
	ScopeAdmin   Scope = "admin"
)

// Backend is the node as the calls need it. LSP and JIT may be nil in a node that has them
// switched off; their calls then answer Unimplemented. All others are required.
type Backend struct {
	Informer Informer
	Wallet   Wallet
	Spender  Spender
	Peers    Peers
	Channels Channels
	Invoices Invoices
	Payments Payments
	LSP      LSP
	JIT      JIT
	Stopper  Stopper
	Backups  Backups
}

// Route is one call: its name, who may make it, and the types that go in and out.
type Route struct {
	// Name is the path after /v1/.
	Name  string
	Scope Scope

	// Long marks a call that waits for peers or blocks; these can't take all places.
	Long bool

	// Request and Response are struct types, for generated references and tests.
	Request, Response reflect.Type

	call func(ctx context.Context, body []byte) (any, error)
}

// validator is a request that can say by itself what is wrong with it.
type validator interface{ validate() *Error }

// route makes the entry of a call whose request is a Req and whose answer is a Resp.
func route[Req, Resp any](
	name string, scope Scope, f func(context.Context, Req) (*Resp, error),
) Route {
	call := func(ctx context.Context, body []byte) (any, error) {
		var request Req
		if err := decode(body, &request); err != nil {
			return nil, err
		}
		if v, ok := any(request).(validator); ok {
			if err := v.validate(); err != nil {
				return nil, err
			}
		}
		return f(ctx, request)
	}
	return Route{
		Name: name, Scope: scope, call: call,
		Request: reflect.TypeFor[Req](), Response: reflect.TypeFor[Resp](),
	}
}

// plain adapts a method that takes no request.
func plain[Resp any](
	f func(context.Context) (*Resp, error),
) func(context.Context, Empty) (*Resp, error) {
	return func(ctx context.Context, _ Empty) (*Resp, error) { return f(ctx) }
}

// long marks a route as one that waits.
func long(r Route) Route {
	r.Long = true
	return r
}

// Routes lists the calls of b, in the order of the reference.
func Routes(b Backend) []Route {
	routes := []Route{
		route("info", ScopeRead, plain(b.Informer.Info)),
		route("stop", ScopeAdmin, b.stop),
		route("wallet/address", ScopeInvoice, plain(b.Wallet.NewAddress)),
		route("wallet/balance", ScopeRead, plain(b.Wallet.Balance)),
		route("wallet/utxos", ScopeRead, plain(b.Wallet.Utxos)),
		route("wallet/send", ScopePay, b.Spender.Send),
		route("wallet/bump", ScopePay, b.Spender.Bump),
		route("peers", ScopeRead, plain(b.Peers.Peers)),
		long(route("peers/connect", ScopeAdmin, b.Peers.Connect)),
		route("peers/disconnect", ScopeAdmin, b.disconnect),
		route("channels", ScopeRead, plain(b.Channels.Channels)),
		long(route("channels/open", ScopePay, b.Channels.OpenChannel)),
		long(route("channels/close", ScopePay, b.Channels.CloseChannel)),
		route("invoices", ScopeRead, b.Invoices.Invoices),
		route("invoices/create", ScopeInvoice, b.Invoices.CreateInvoice),
		long(route("pay", ScopePay, b.Payments.Pay)),
		route("payments", ScopeRead, b.Payments.Payments),
		route("backup/verify", ScopeAdmin, b.Backups.VerifyBackup),
	}
	routes = append(routes, b.lspRoutes()...)
	return append(routes, long(route("jit/invoice", ScopeInvoice, b.jitInvoice)))
}

func (b Backend) lspRoutes() []Route {
	service := b.LSP
	if service == nil {
		service = noLSP{}
	}
	return []Route{
		route("lsp/menu", ScopeRead, plain(service.Menu)),
		route("lsp/quote", ScopeRead, service.Quote),
		route("lsp/lifetimes", ScopeLSP, service.Lifetimes),
		route("lsp/orders", ScopeLSP, service.Orders),
		route("lsp/order", ScopeLSP, service.Order),
		route("lsp/admission", ScopeLSP, plain(service.Admission)),
		route("lsp/trust", ScopeAdmin, service.SetTrust),
	}
}

func (b Backend) stop(ctx context.Context, _ Empty) (*StopResponse, error) {
	if err := b.Stopper.Stop(ctx); err != nil {
		return nil, err
	}
	return &StopResponse{Stopping: true}, nil
}

func (b Backend) disconnect(ctx context.Context, r DisconnectRequest) (*Empty, error) {
	return &Empty{}, b.Peers.Disconnect(ctx, r)
}

func (b Backend) jitInvoice(ctx context.Context, r JITRequest) (*JITInvoice, error) {
	if b.JIT == nil {
		return nil, &Error{
			Code: Unimplemented, Message: "this node doesn't buy channels from LSPs",
		}
	}
	return b.JIT.JITInvoice(ctx, r)
}

// noLSP answers for a node that sells nothing.
type noLSP struct{}

func (noLSP) off() error {
	return &Error{
		Code: Unimplemented, Message: "the LSP is switched off on this node",
		Hint: "set enabled = true in the [lsp] section of its config and start it again",
	}
}

func (n noLSP) Menu(context.Context) (*Menu, error) { return nil, n.off() }

func (n noLSP) Quote(context.Context, QuoteRequest) (*Quote, error) { return nil, n.off() }

func (n noLSP) Lifetimes(context.Context, LifetimesRequest) (*Lifetimes, error) {
	return nil, n.off()
}

func (n noLSP) Orders(context.Context, OrdersRequest) (*OrderList, error) { return nil, n.off() }

func (n noLSP) Order(context.Context, OrderRequest) (*Order, error) { return nil, n.off() }
