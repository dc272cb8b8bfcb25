// Package apitest has a node made of canned answers, to test what stands in front of a node: the
// API's server and client, and the command line.
package apitest

import (
	"context"
	"sync"

	"github.com/inletlsp/inlet/node/api"
)

// Node answers every call with the field of the call's name, and keeps the requests.
type Node struct {
	InfoAnswer     api.Info
	AddressAnswer  api.Address
	BalanceAnswer  api.Balance
	UtxosAnswer    api.Utxos
	TxAnswer       api.Transaction
	PeersAnswer    api.PeerList
	ChannelsAnswer api.ChannelList
	InvoicesAnswer api.InvoiceList
	PayAnswer      api.Payment
	PaymentsAnswer api.PaymentList
	Sales          Sales

	// Before, unless nil, is called first; its error is the answer of the call. A test that
	// changes it while calls are made has to see to the order.
	Before func(ctx context.Context, request any) error

	mu       sync.Mutex
	requests []any // guarded by mu
}

// Sales holds the answers around LSPs, and those of opening and closing channels.
type Sales struct {
	Menu   api.Menu
	Quote  api.Quote
	Lives  api.Lifetimes
	Orders api.OrderList
	Order  api.Order
	JIT    api.JITInvoice
	Open   api.OpenResponse
	Close  api.CloseResponse
	Gate   api.Admission
	Backup api.BackupReport
}

// Backend is n as all parts of a node.
func (n *Node) Backend() api.Backend {
	return api.Backend{
		Informer: n, Wallet: n, Spender: n, Peers: n, Channels: n, Invoices: n, Payments: n,
		LSP: n, JIT: n, Stopper: n, Backups: n,
	}
}

// Requests are those received so far, in order.
func (n *Node) Requests() []any {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]any(nil), n.requests...)
}

// give keeps the request and returns a copy of the answer.
func give[T any](ctx context.Context, n *Node, request any, answer T) (*T, error) {
	n.mu.Lock()
	n.requests = append(n.requests, request)
	n.mu.Unlock()
	if n.Before != nil {
		if err := n.Before(ctx, request); err != nil {
			return nil, err
		}
	}
	return &answer, nil
}

// StopCall is what Requests holds for a call of Stop, which has no request.
type StopCall struct{}

// Stop implements api.Stopper.
func (n *Node) Stop(ctx context.Context) error {
	_, err := give(ctx, n, StopCall{}, api.Empty{})
	return err
}

// VerifyBackup implements api.Backups.
func (n *Node) VerifyBackup(ctx context.Context, r api.VerifyBackupRequest) (
	*api.BackupReport, error) {

	return give(ctx, n, r, n.Sales.Backup)
}

// Info implements api.Informer.
func (n *Node) Info(ctx context.Context) (*api.Info, error) {
	return give(ctx, n, api.Empty{}, n.InfoAnswer)
}

// NewAddress implements api.Wallet.
func (n *Node) NewAddress(ctx context.Context) (*api.Address, error) {
	return give(ctx, n, api.Empty{}, n.AddressAnswer)
}

// Balance implements api.Wallet.
func (n *Node) Balance(ctx context.Context) (*api.Balance, error) {
	return give(ctx, n, api.Empty{}, n.BalanceAnswer)
}

// Utxos implements api.Wallet.
func (n *Node) Utxos(ctx context.Context) (*api.Utxos, error) {
	return give(ctx, n, api.Empty{}, n.UtxosAnswer)
}

// Send implements api.Spender.
func (n *Node) Send(ctx context.Context, r api.SendRequest) (*api.Transaction, error) {
	return give(ctx, n, r, n.TxAnswer)
}

// Bump implements api.Spender.
func (n *Node) Bump(ctx context.Context, r api.BumpRequest) (*api.Transaction, error) {
	return give(ctx, n, r, n.TxAnswer)
}

// Peers implements api.Peers.
func (n *Node) Peers(ctx context.Context) (*api.PeerList, error) {
	return give(ctx, n, api.Empty{}, n.PeersAnswer)
}

// Connect implements api.Peers and answers with the first peer of the list.
func (n *Node) Connect(ctx context.Context, r api.ConnectRequest) (*api.Peer, error) {
	var first api.Peer
	if len(n.PeersAnswer.Peers) > 0 {
		first = n.PeersAnswer.Peers[0]
	}
	return give(ctx, n, r, first)
}

// Disconnect implements api.Peers.
func (n *Node) Disconnect(ctx context.Context, r api.DisconnectRequest) error {
	_, err := give(ctx, n, r, api.Empty{})
	return err
}

// Channels implements api.Channels.
func (n *Node) Channels(ctx context.Context) (*api.ChannelList, error) {
	return give(ctx, n, api.Empty{}, n.ChannelsAnswer)
}

// OpenChannel implements api.Channels.
func (n *Node) OpenChannel(ctx context.Context, r api.OpenRequest) (*api.OpenResponse, error) {
	return give(ctx, n, r, n.Sales.Open)
}

// CloseChannel implements api.Channels.
func (n *Node) CloseChannel(ctx context.Context, r api.CloseRequest) (*api.CloseResponse, error) {
	return give(ctx, n, r, n.Sales.Close)
}

// CreateInvoice implements api.Invoices and answers with the first invoice of the list.
func (n *Node) CreateInvoice(ctx context.Context, r api.InvoiceRequest) (*api.Invoice, error) {
	var first api.Invoice
	if len(n.InvoicesAnswer.Invoices) > 0 {
		first = n.InvoicesAnswer.Invoices[0].Invoice
	}
	return give(ctx, n, r, first)
}

// Invoices implements api.Invoices.
func (n *Node) Invoices(ctx context.Context, r api.ListRequest) (*api.InvoiceList, error) {
	return give(ctx, n, r, n.InvoicesAnswer)
}

// Pay implements api.Payments.
func (n *Node) Pay(ctx context.Context, r api.PayRequest) (*api.Payment, error) {
	return give(ctx, n, r, n.PayAnswer)
}

// Payments implements api.Payments.
func (n *Node) Payments(ctx context.Context, r api.ListRequest) (*api.PaymentList, error) {
	return give(ctx, n, r, n.PaymentsAnswer)
}

// Menu implements api.LSP.
func (n *Node) Menu(ctx context.Context) (*api.Menu, error) {
	return give(ctx, n, api.Empty{}, n.Sales.Menu)
}

// Lifetimes implements api.LSP.
func (n *Node) Lifetimes(ctx context.Context, r api.LifetimesRequest) (*api.Lifetimes, error) {
	return give(ctx, n, r, n.Sales.Lives)
}

// Quote implements api.LSP.
func (n *Node) Quote(ctx context.Context, r api.QuoteRequest) (*api.Quote, error) {
	return give(ctx, n, r, n.Sales.Quote)
}

// Orders implements api.LSP.
func (n *Node) Orders(ctx context.Context, r api.OrdersRequest) (*api.OrderList, error) {
	return give(ctx, n, r, n.Sales.Orders)
}

// Order implements api.LSP.
func (n *Node) Order(ctx context.Context, r api.OrderRequest) (*api.Order, error) {
	return give(ctx, n, r, n.Sales.Order)
}

// JITInvoice implements api.JIT.
func (n *Node) JITInvoice(ctx context.Context, r api.JITRequest) (*api.JITInvoice, error) {
	return give(ctx, n, r, n.Sales.JIT)
}

// Admission implements api.Gate.
func (n *Node) Admission(ctx context.Context) (*api.Admission, error) {
	return give(ctx, n, api.Empty{}, n.Sales.Gate)
}

// SetTrust implements api.Gate.
func (n *Node) SetTrust(ctx context.Context, r api.TrustRequest) (*api.Admission, error) {
	return give(ctx, n, r, n.Sales.Gate)
}
