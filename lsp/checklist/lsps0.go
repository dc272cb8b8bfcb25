package checklist

// Parts of bLIP-50.
const (
	transport = "bLIP-50 transport"
	payload   = "bLIP-50 message payload"
	schemas   = "bLIP-50 common schemas"
	gone      = "bLIP-50 disconnection"
	ours      = "our own"
)

// lsps0 is the transport, bLIP-50.
var lsps0 = []Line{
	{"LSPS0-01", Both, transport, "message type 37913 carries the bare JSON text", ""},
	{"LSPS0-02", Service, payload, "space, tab, LF and CR around the object are allowed", ""},
	{"LSPS0-03", Service, payload, "half an object: -32700 with a null id", ""},
	{"LSPS0-04", Service, payload, "an array or a scalar: -32700 with a null id", ""},
	{"LSPS0-05", Service, payload, "two objects, or an object and more: -32700 with a null id", ""},
	{
		"LSPS0-06", Service, payload,
		"a zero byte or what is no UTF-8: -32700 with a null id; the connection stays", "",
	},
	{"LSPS0-07", Service, payload, "a batch: one -32700, and none of it is done", ""},
	{"LSPS0-08", Service, payload, "a request without an id: -32700 with a null id, not done", ""},
	{"LSPS0-09", Service, payload, "parameters by position: refused, not done", ""},
	{
		"LSPS0-10", Service, ours,
		"answers are never answered; at most one -32700 a connection", "",
	},
	{"LSPS0-11", Service, "bLIP-50 versioning", "an unknown method: -32601 with the request's id", ""},
	{
		"LSPS0-12", Service, "bLIP-50 -32602",
		"unknown parameters: -32602, all their names in data.unrecognized and no other", "",
	},
	{
		"LSPS0-13", Service, "bLIP-50 JSON-RPC",
		"an answer has jsonrpc 2.0, the id as it came, and either result or error", "",
	},
	{"LSPS0-14", Service, payload, "a peer that never sent a message of this type gets none", ""},
	{"LSPS0-15", Service, gone, "one answer a request, and none after its connection", ""},
	{
		"LSPS0-16", Service, "bLIP-50 support query",
		"list_protocols gives the numbers of what is on, as numbers, without 0", "",
	},
	{
		"LSPS0-17", Both, "bLIP-50 feature bit",
		"bit 729 is offered only while the service is on, never by a client", "",
	},
	{"LSPS0-18", Client, gone, "request ids are strings with at least 80 bits of chance", ""},
	{"LSPS0-19", Client, gone, "an answer with an unknown id changes nothing", ""},
	{
		"LSPS0-20", Client, payload,
		"after a malformed message nothing is sent until the next connection", "",
	},
	{
		"LSPS0-21", Client, "bLIP-50 versioning",
		"unknown members of a result are ignored; an unknown code is an error like any", "",
	},
	{"LSPS0-22", Client, gone, "a request without an answer ends; a late answer is ignored", ""},
	{"LSPS0-23", Client, "bLIP-50 errors", "an error's text is cleaned before anybody sees it", ""},
	{"LSPS0-24", Both, schemas, "amounts are written as decimal strings, other numbers as numbers", ""},
	{
		"LSPS0-25", Both, schemas,
		"times are written with 3 digits of fraction and Z, and read with 0 to 9", "",
	},
	{"LSPS0-26", Both, schemas, "short channel ids are BBBxTTTxOOO and nothing else", ""},
	{"LSPS0-27", Both, schemas, "what can stand directly in a string is not escaped", ""},
	{"LSPS0-28", Service, schemas, "an amount is a string of digits below 2^64 and nothing else", ""},
	{"LSPS0-29", Service, ours, "the largest and the deepest messages cost little", ""},
}
