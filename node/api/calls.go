package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"syscall"
	"time"
)

// request makes a call whose answer is a Resp.
func request[Resp any](
	ctx context.Context, c *Client, name string, limit time.Duration, in any,
) (*Resp, error) {
	answer := new(Resp)
	if err := c.call(ctx, name, limit, in, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// Info implements Informer.
func (c *Client) Info(ctx context.Context) (*Info, error) {
	return request[Info](ctx, c, "info", quickTimeout, Empty{})
}

// Stop implements Stopper: it returns when the node has begun to stop.
func (c *Client) Stop(ctx context.Context) error {
	response, err := c.stop(ctx)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// StopAndWait returns when the node has stopped and its data directory is free.
func (c *Client) StopAndWait(ctx context.Context) error {
	response, err := c.stop(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body) // the end of the connection is what we wait for
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return c.explain(ctx, err)
}

// stop returns the response of a stop that was begun, with the connection still open.
func (c *Client) stop(ctx context.Context) (*http.Response, error) {
	response, err := c.post(ctx, "stop", Empty{})
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer func() { _ = response.Body.Close() }()
		return nil, c.read(ctx, response, &Empty{})
	}
	var answer StopResponse
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || !answer.Stopping {
		_ = response.Body.Close()
		return nil, c.stranger("it doesn't stop")
	}
	return response, nil
}

// NewAddress implements Wallet.
func (c *Client) NewAddress(ctx context.Context) (*Address, error) {
	return request[Address](ctx, c, "wallet/address", quickTimeout, Empty{})
}

// Balance implements Wallet.
func (c *Client) Balance(ctx context.Context) (*Balance, error) {
	return request[Balance](ctx, c, "wallet/balance", quickTimeout, Empty{})
}

// Utxos implements Wallet.
func (c *Client) Utxos(ctx context.Context) (*Utxos, error) {
	return request[Utxos](ctx, c, "wallet/utxos", quickTimeout, Empty{})
}

// Send implements Spender.
func (c *Client) Send(ctx context.Context, r SendRequest) (*Transaction, error) {
	return request[Transaction](ctx, c, "wallet/send", quickTimeout, r)
}

// Bump implements Spender.
func (c *Client) Bump(ctx context.Context, r BumpRequest) (*Transaction, error) {
	return request[Transaction](ctx, c, "wallet/bump", quickTimeout, r)
}

// Peers implements Peers.
func (c *Client) Peers(ctx context.Context) (*PeerList, error) {
	return request[PeerList](ctx, c, "peers", quickTimeout, Empty{})
}

// Connect implements Peers.
func (c *Client) Connect(ctx context.Context, r ConnectRequest) (*Peer, error) {
	return request[Peer](ctx, c, "peers/connect", longTimeout, r)
}

// Disconnect implements Peers.
func (c *Client) Disconnect(ctx context.Context, r DisconnectRequest) error {
	_, err := request[Empty](ctx, c, "peers/disconnect", quickTimeout, r)
	return err
}

// Channels implements Channels.
func (c *Client) Channels(ctx context.Context) (*ChannelList, error) {
	return request[ChannelList](ctx, c, "channels", quickTimeout, Empty{})
}

// OpenChannel implements Channels.
func (c *Client) OpenChannel(ctx context.Context, r OpenRequest) (*OpenResponse, error) {
	return request[OpenResponse](ctx, c, "channels/open", longTimeout, r)
}

// CloseChannel implements Channels.
func (c *Client) CloseChannel(ctx context.Context, r CloseRequest) (*CloseResponse, error) {
	return request[CloseResponse](ctx, c, "channels/close", longTimeout, r)
}

// CreateInvoice implements Invoices.
func (c *Client) CreateInvoice(ctx context.Context, r InvoiceRequest) (*Invoice, error) {
	return request[Invoice](ctx, c, "invoices/create", quickTimeout, r)
}

// Invoices implements Invoices.
func (c *Client) Invoices(ctx context.Context, r ListRequest) (*InvoiceList, error) {
	return request[InvoiceList](ctx, c, "invoices", quickTimeout, r)
}

// Pay implements Payments. The node answers in time by itself; the client only waits a little
// longer than that.
func (c *Client) Pay(ctx context.Context, r PayRequest) (*Payment, error) {
	seconds := r.TimeoutSeconds
	if seconds == 0 {
		seconds = DefaultPaySeconds
	}
	limit := time.Duration(seconds)*time.Second + quickTimeout
	return request[Payment](ctx, c, "pay", limit, r)
}

// Payments implements Payments.
func (c *Client) Payments(ctx context.Context, r ListRequest) (*PaymentList, error) {
	return request[PaymentList](ctx, c, "payments", quickTimeout, r)
}

// VerifyBackup implements Backups.
func (c *Client) VerifyBackup(ctx context.Context, r VerifyBackupRequest) (*BackupReport, error) {
	return request[BackupReport](ctx, c, "backup/verify", quickTimeout, r)
}

// Menu implements LSP.
func (c *Client) Menu(ctx context.Context) (*Menu, error) {
	return request[Menu](ctx, c, "lsp/menu", quickTimeout, Empty{})
}

// Quote implements LSP.
func (c *Client) Quote(ctx context.Context, r QuoteRequest) (*Quote, error) {
	return request[Quote](ctx, c, "lsp/quote", quickTimeout, r)
}

// Lifetimes implements LSP.
func (c *Client) Lifetimes(ctx context.Context, r LifetimesRequest) (*Lifetimes, error) {
	return request[Lifetimes](ctx, c, "lsp/lifetimes", quickTimeout, r)
}

// Orders implements LSP.
func (c *Client) Orders(ctx context.Context, r OrdersRequest) (*OrderList, error) {
	return request[OrderList](ctx, c, "lsp/orders", quickTimeout, r)
}

// Order implements LSP.
func (c *Client) Order(ctx context.Context, r OrderRequest) (*Order, error) {
	return request[Order](ctx, c, "lsp/order", quickTimeout, r)
}

// JITInvoice implements JIT.
func (c *Client) JITInvoice(ctx context.Context, r JITRequest) (*JITInvoice, error) {
	return request[JITInvoice](ctx, c, "jit/invoice", longTimeout, r)
}
