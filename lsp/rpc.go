package lsp

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lightningnetwork/lnd/lnwire"
)

// MessageType carries all LSPS messages.
//
// bLIP-50: BOLT8 message ID 37913, the payload is the JSON text and nothing else.
const MessageType lnwire.MessageType = 37913

// FeatureBit is option_supports_lsps; a node sets it only while its service is on.
const FeatureBit lnwire.FeatureBit = 729

// Error codes of JSON-RPC, of bLIP-50 and of bLIP-52.
const (
	CodeParse          = -32700
	CodeMethodNotFound = -32601
	CodeInvalidParams  = -32602
	CodeInternal       = -32603
	CodeClientRejected = 1

	CodeUnrecognizedToken   = 200
	CodeInvalidFeeParams    = 201
	CodePaymentSizeTooSmall = 202
	CodePaymentSizeTooLarge = 203
)

// maxID bounds the id of a request, which we echo.
const maxID = 256

// kind is what a message is.
type kind int

const (
	malformed kind = iota
	request
	notification
	response
)

// message is a parsed payload.
type message struct {
	kind   kind
	id     string
	method string
	params object          // of a request; nil: they are no object
	result json.RawMessage // of a response; nil: it is an error
	err    json.RawMessage
}

// parseMessage sorts a payload. A request of bLIP-50 has a string for an id; one
// without an id is a notification, which only an LSP may send.
func parseMessage(raw []byte) message {
	o, err := parseObject(raw)
	if err != nil {
		return message{}
	}
	_, isCall := o["method"]
	_, hasResult := o["result"]
	_, hasError := o["error"]
	switch {
	case isCall:
		return parseCall(o)
	case hasResult || hasError:
		return parseResponse(o)
	}
	return message{}
}

func version2(o object) bool {
	v, err := parseString(o["jsonrpc"])
	return err == nil && v == "2.0"
}

func parseCall(o object) message {
	method, err := parseString(o["method"])
	if err != nil || !version2(o) {
		return message{}
	}
	id, hasID := o["id"]
	if !hasID {
		return message{kind: notification, method: method}
	}
	m := message{kind: request, method: method}
	if m.id, err = parseString(id); err != nil || len(m.id) > maxID {
		return message{}
	}
	params, ok := o["params"]
	if !ok {
		m.params = object{}
		return m
	}
	// bLIP-50: parameters are by name, never by position.
	if isObject(params) {
		m.params, _ = members(params)
	}
	return m
}

// parseResponse reads an answer. Its kind is response even when it is malformed, for
// nobody may answer an answer; result and err are then both nil.
func parseResponse(o object) message {
	m := message{kind: response}
	if !version2(o) {
		return m
	}
	if id, ok := o["id"]; ok && !isNull(id) {
		var err error
		if m.id, err = parseString(id); err != nil {
			return m
		}
	}
	result, hasResult := o["result"]
	failure, hasError := o["error"]
	// An LSP that writes "error":null beside its result means well.
	hasError = hasError && !isNull(failure)
	hasResult = hasResult && (!hasError || !isNull(result))
	switch {
	case hasResult && !hasError && m.id != "":
		m.result = result
	case hasError && !hasResult:
		m.err = failure
	}
	return m
}

// rpcError is an error answer of ours. Data is left out unless it must be there: an
// LDK client cannot read an object in it and then ignores us until it reconnects.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func fault(code int, format string, args ...any) *rpcError {
	return &rpcError{Code: code, Message: fmt.Sprintf(format, args...)}
}

// unrecognized checks the names of parameters.
//
// bLIP-50: a method that is given a parameter it does not know "MUST" fail with
// -32602 and the names in data.unrecognized.
func (o object) unrecognized(known ...string) *rpcError {
	var names []string
	for name := range o {
		if !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return nil
	}
	slices.Sort(names)
	e := fault(CodeInvalidParams, "unrecognized parameters")
	e.Data = map[string][]string{"unrecognized": names}
	return e
}

// reply writes an answer. There is never a null beside result or error: LDK refuses it.
func reply(id string, result any, e *rpcError) []byte {
	b := append([]byte(`{"jsonrpc":"2.0","id":`), appendString(nil, id)...)
	name, v := `,"result":`, result
	if e != nil {
		name, v = `,"error":`, any(e)
	}
	b, err := appendJSON(append(b, name...), v)
	if err != nil {
		panic("lsp: BUG: an answer that is no JSON: " + err.Error())
	}
	return append(b, '}')
}

// parseFailure answers what is no request.
//
// bLIP-50: error code -32700 and a null id.
func parseFailure() []byte {
	return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"bad message format"}}`)
}
