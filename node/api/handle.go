package api

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

// prefix is what all calls share. A later version of the calls gets another one.
const prefix = "/v1/"

// metricsPath is where Prometheus looks unless it is told otherwise.
const metricsPath = "/metrics"

// Handler serves the calls, /metrics and /healthz with all checks of requests, but without the limits that
// belong to connections.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer, err := s.answer(w, r)
	if err != nil {
		err = s.whileStopping(r.Context(), err)
		s.refuse(w, asError(err))
	} else if answer != nil {
		s.write(w, http.StatusOK, answer)
	}
	s.log.Debug("admin call", "path", r.URL.Path, "ms", time.Since(start).Milliseconds(),
		"err", err)
}

// answer returns the document to write, or nil when the answer is written already.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (any, error) {
	if !hostAllowed(r.Host) {
		return nil, &Error{
			Code: PermissionDenied, Message: "the Host header names another machine",
			Hint: "address the API as 127.0.0.1 or localhost",
		}
	}
	if r.URL.Path == "/healthz" {
		return health(w, r)
	}
	if !s.authorized(r) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return nil, &Error{
			Code: Unauthenticated, Message: "the token is missing or wrong",
			Hint: "send Authorization: Bearer with the content of " + TokenFile +
				" from this node's data directory",
		}
	}
	if r.URL.Path == metricsPath && s.options.Metrics != nil {
		return nil, s.metrics(w, r)
	}
	called, err := s.find(w, r)
	if err != nil {
		return nil, err
	}
	leave, err := s.enter(called)
	if err != nil {
		return nil, err
	}
	defer leave()

	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	answer, err := s.run(r.Context(), called, body)
	if _, stop := answer.(*StopResponse); stop && err == nil {
		return nil, s.linger(w, answer)
	}
	return answer, err
}

func health(w http.ResponseWriter, r *http.Request) (any, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return nil, wrongMethod(w, http.MethodGet)
	}
	return struct {
		Status string `json:"status"`
	}{"ok"}, nil
}

// metrics answers Prometheus. It needs the token, as its configuration allows (authorization and
// credentials_file): amounts and failures are the operator's business alone.
func (s *Server) metrics(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return wrongMethod(w, http.MethodGet)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	s.options.Metrics.ServeHTTP(w, r)
	return nil
}

// authorized compares the token in constant time: a comparison that stops at the first wrong
// letter would let it be guessed letter by letter.
func (s *Server) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") &&
		subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) == 1
}

func (s *Server) find(w http.ResponseWriter, r *http.Request) (Route, error) {
	name, versioned := strings.CutPrefix(r.URL.Path, prefix)
	found, known := s.routes[name]
	if !versioned || !known {
		names := make([]string, 0, len(s.routes))
		for n := range s.routes {
			names = append(names, prefix+n)
		}
		return Route{}, &Error{
			Code: NotFound, Message: fmt.Sprintf("there is no call %.64q", r.URL.Path),
			Hint: "did you mean " + Nearest(fmt.Sprintf("%.64s", r.URL.Path), names) + "?",
		}
	}
	if r.Method != http.MethodPost {
		return Route{}, wrongMethod(w, http.MethodPost)
	}
	return found, nil
}

func wrongMethod(w http.ResponseWriter, allowed string) *Error {
	w.Header().Set("Allow", allowed)
	return &Error{
		Code: InvalidArgument, Message: "this path takes " + allowed + " only",
		Hint: "calls are POST with a JSON object", status: http.StatusMethodNotAllowed,
	}
}

// enter takes a place for a call, or says that all are taken. It doesn't queue: a queue of
// payments that start minutes later is worse than a refusal.
func (s *Server) enter(r Route) (leave func(), err error) {
	full := &Error{
		Code: ResourceExhausted, Message: "too many calls at once",
		Hint: "wait for some of them to end",
	}
	places := []chan struct{}{s.calls}
	if r.Long {
		places = append(places, s.longCalls)
	}
	taken := 0
	leave = func() {
		for _, place := range places[:taken] {
			<-place
		}
	}
	for _, place := range places {
		select {
		case place <- struct{}{}:
			taken++
		default:
			leave()
			return nil, full
		}
	}
	return leave, nil
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &Error{
			Code:    InvalidArgument,
			Message: fmt.Sprintf("the request is larger than %d bytes", tooLarge.Limit),
			Hint:    "no call needs more",
			status:  http.StatusRequestEntityTooLarge,
		}
	}
	if err != nil {
		return nil, invalid("the request didn't arrive whole", "send it again")
	}
	// The server's ReadTimeout has done its work. It would end the context of a long call when it
	// strikes, so it is taken back; a writer without deadlines (in tests) is as good.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// run makes the call. A panic in one call must not end a node that holds other people's HTLCs.
func (s *Server) run(ctx context.Context, called Route, body []byte) (answer any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("admin call panicked", "call", called.Name, "err", cause,
				"stack", string(debug.Stack()))
			err = &Error{
				Code: Internal, Message: "the call failed by a fault in the program",
				Hint: "the daemon's log has the place; please report it",
			}
		}
	}()
	answer, err = called.call(ctx, body)
	if err == nil && reflect.ValueOf(answer).IsNil() {
		err = &Error{Code: Internal, Message: "the call " + called.Name + " gave no answer"}
	}
	return answer, err
}

// linger answers a stop and keeps the connection until the process ends or Close is called, so
// that the caller knows when the data directory is free.
func (s *Server) linger(w http.ResponseWriter, answer any) error {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		s.write(w, http.StatusOK, answer)
		return nil
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		return fmt.Errorf("api: keep the connection: %w", err)
	}
	document, err := json.Marshal(answer)
	if err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_, err = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+
			"Connection: close\r\n\r\n%s\n", document)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || s.closed || len(s.lingering) == maxConnections {
		_ = conn.Close()
		return nil
	}
	s.lingering = append(s.lingering, conn)
	return nil
}

// whileStopping explains a call that was cut short by the stop of the node.
func (s *Server) whileStopping(ctx context.Context, err error) error {
	// Run has ended only if the context that all calls share has: else it was this caller.
	server, ok := ctx.Value(http.ServerContextKey).(*http.Server)
	if !ok || server.BaseContext == nil || !errors.Is(err, context.Canceled) ||
		server.BaseContext(nil).Err() == nil {
		return err
	}
	return &Error{
		Code: Unavailable, Message: "the node is stopping",
		Hint: "what the call started goes on when the node runs again",
	}
}

func (s *Server) refuse(w http.ResponseWriter, e *Error) {
	s.write(w, e.Status(), errorDocument{e})
}

func (s *Server) write(w http.ResponseWriter, status int, document any) {
	var text bytes.Buffer
	fillLists(reflect.ValueOf(document))
	if err := json.NewEncoder(&text).Encode(document); err != nil {
		s.log.Error("admin answer can't be written", "err", err)
		http.Error(w, "{}", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes()) // the caller is gone if it fails, and there is nobody to tell
}

// fillLists puts an empty list where a backend left a nil one: a list is [] in JSON, never null.
func fillLists(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			fillLists(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillLists(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.IsNil() && v.CanSet() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		for i := range v.Len() {
			fillLists(v.Index(i))
		}
	default:
	}
}
