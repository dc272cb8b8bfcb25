package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// decode reads one JSON object into the struct that out points to. It is strict, since a
// misspelt max_fee_msat that is silently ignored costs money: an unknown member, one given
// twice, one in another case, and text after the object are errors that name the member.
// An empty body counts as {}.
func decode(body []byte, out any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return malformed(err)
	}
	fields := fieldsOf(reflect.ValueOf(out).Elem())
	seen := make(map[string]bool, len(fields))
	for d.More() {
		if err := decodeMember(d, fields, seen); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("there is text after the request's JSON object", "send one object only")
	}
	return nil
}

func decodeMember(d *json.Decoder, fields map[string]reflect.Value, seen map[string]bool) error {
	token, err := d.Token()
	if err != nil {
		return malformed(err)
	}
	name, ok := token.(string)
	if !ok {
		return malformed(nil)
	}
	field, known := fields[name]
	switch {
	case !known:
		return unknownField(name, fields)
	case seen[name]:
		return invalid(fmt.Sprintf("field %q is given twice", name), "keep one of them")
	}
	seen[name] = true

	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return malformed(err)
	}
	if err := json.Unmarshal(raw, field.Addr().Interface()); err != nil {
		return wrongType(name, field.Type(), err)
	}
	return nil
}

// fieldsOf maps the JSON names of a flat request struct to its fields.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value, v.NumField())
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = v.Field(i)
	}
	return fields
}

func unknownField(name string, fields map[string]reflect.Value) *Error {
	names := make([]string, 0, len(fields))
	for known := range fields {
		names = append(names, known)
	}
	hint := "this call takes no fields"
	if near := Nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return invalid(fmt.Sprintf("unknown field %q", name), hint)
}

func wrongType(name string, t reflect.Type, err error) *Error {
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		return invalid(fmt.Sprintf("field %q: %v", name, err), "")
	}
	return invalid(fmt.Sprintf("field %q can't be a %s", name, mismatch.Value),
		fmt.Sprintf("give a %s", kindWord(t)))
}

// kindWord is the JSON word for a Go type.
func kindWord(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "string"
	default:
		return "whole number that is in range"
	}
}

func malformed(err error) *Error {
	message := "the request is not a JSON object"
	if err != nil && !errors.Is(err, io.EOF) {
		message += ": " + err.Error()
	}
	return invalid(message, `send something like {"amount_msat":"1000"}`)
}

func invalid(message, hint string) *Error {
	return &Error{Code: InvalidArgument, Message: message, Hint: hint}
}

func missing(field, what string) *Error {
	return invalid(fmt.Sprintf("field %q is missing", field), "it is "+what)
}
