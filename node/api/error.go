package api

import (
	"context"
	"errors"
	"net/http"
)

// Code says what kind of fault an Error is. The words are those of gRPC and Connect, so that
// they stay when the same calls are served over these.
type Code string

// The codes, with the HTTP status that each is answered with.
const (
	InvalidArgument    Code = "invalid_argument"    // 400: the request is wrong whatever the state
	FailedPrecondition Code = "failed_precondition" // 400: the state has to change first
	Unauthenticated    Code = "unauthenticated"     // 401: no token, or a wrong one
	PermissionDenied   Code = "permission_denied"   // 403: the caller may not do this
	NotFound           Code = "not_found"           // 404: no such order, channel, peer, call
	AlreadyExists      Code = "already_exists"      // 409: done before, for instance already paid
	ResourceExhausted  Code = "resource_exhausted"  // 429: a limit, or not enough coins
	Canceled           Code = "canceled"            // 499: the caller went away
	Internal           Code = "internal"            // 500: a fault of ours; also any other error
	Unimplemented      Code = "unimplemented"       // 501: switched off in this node
	Unavailable        Code = "unavailable"         // 503: try again later, for instance peer offline
	DeadlineExceeded   Code = "deadline_exceeded"   // 504: took too long
)

// statusOf maps each code to its HTTP status.
var statusOf = map[Code]int{
	InvalidArgument:    http.StatusBadRequest,
	FailedPrecondition: http.StatusBadRequest,
	Unauthenticated:    http.StatusUnauthorized,
	PermissionDenied:   http.StatusForbidden,
	NotFound:           http.StatusNotFound,
	AlreadyExists:      http.StatusConflict,
	ResourceExhausted:  http.StatusTooManyRequests,
	Canceled:           499,
	Internal:           http.StatusInternalServerError,
	Unimplemented:      http.StatusNotImplemented,
	Unavailable:        http.StatusServiceUnavailable,
	DeadlineExceeded:   http.StatusGatewayTimeout,
}

// Error is a fault that the caller is meant to read. A Backend returns one (bare or wrapped) to
// choose code and hint; any other error is answered as Internal with its text.
type Error struct {
	// Code is the kind of fault.
	Code Code `json:"code"`

	// Message says what is wrong, as a sentence without a full stop.
	Message string `json:"message"`

	// Hint says what to do about it; empty when the message already does.
	Hint string `json:"hint"`

	// status overrides the code's HTTP status; 0 doesn't.
	status int
}

// errorDocument is the body of every answer that isn't a success.
type errorDocument struct {
	Error *Error `json:"error"`
}

// Error is the message and, on a second line, the hint.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "\n" + e.Hint
}

// Status is the HTTP status that the error is answered with.
func (e *Error) Status() int {
	if e.status != 0 {
		return e.status
	}
	if status, ok := statusOf[e.Code]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// asError turns any error into one that can be answered.
func asError(err error) *Error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return &Error{Code: Canceled, Message: "the call was given up before it ended"}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{
			Code:    DeadlineExceeded,
			Message: "the call took too long: " + err.Error(),
			Hint:    "what it started may still go on: look before you try again",
		}
	}
	return &Error{
		Code:    Internal,
		Message: err.Error(),
		Hint:    "the daemon's log has more about it",
	}
}
