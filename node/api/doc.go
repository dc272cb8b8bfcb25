// Package api is the operator's surface of an Inlet node: JSON over HTTP/1.1 on the loopback
// interface, one document for each call.
//
// A call is POST /v1/<name> with a JSON object as its body and "Authorization: Bearer <token>",
// where the token is the content of the file admin.token (mode 0600) in the node's data
// directory. The answer is one JSON object, or, with a status other than 200,
//
//	{"error":{"code":"not_found","message":"no such order","hint":"inlet lsp orders lists them"}}
//
// Amounts are decimal strings in fields that end in _msat or _sat, times are RFC 3339 in UTC,
// lists are objects with one array in them. GET /healthz answers without a token and says
// nothing but that the process is up.
//
// The package knows nothing about how a node works. What it needs is named by the small
// interfaces next to the requests and responses (Informer, Wallet, Spender, Peers, Channels,
// Invoices, Payments, LSP, JIT, Stopper); the node fills them in a Backend, and Client
// implements the same interfaces at the other end of the wire.
package api
