package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// key is one setting of a Config: a leaf of the struct. File, environment and flags all go
// through it, so that they can't differ.
type key struct {
	// path is the dotted name, as in the file and as a flag.
	path string

	// value is the field that the key sets.
	value reflect.Value
}

// keys lists the settings of c in the order of the struct.
func (c *Config) keys() []key { return appendKeys(nil, "", reflect.ValueOf(c).Elem()) }

func appendKeys(keys []key, prefix string, v reflect.Value) []key {
	for i := range v.NumField() {
		path := prefix + v.Type().Field(i).Tag.Get("toml")
		switch field := v.Field(i); {
		case v.Type().Field(i).Anonymous:
			keys = appendKeys(keys, prefix, field)
		case isList(field.Type()):
			// Its tables are no settings of their own: see lists.go.
		case field.Kind() == reflect.Struct:
			keys = appendKeys(keys, path+".", field)
		default:
			keys = append(keys, key{path, field})
		}
	}
	return keys
}

// keyPaths lists the names of all settings.
func keyPaths() []string {
	var c Config
	keys := c.keys()
	paths := make([]string, len(keys))
	for i, k := range keys {
		paths[i] = k.path
	}
	return paths
}

// env is the key's name in the environment.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// list says whether the key takes several values.
func (k key) list() bool { return k.value.Kind() == reflect.Slice }

// kind is the word for what the key takes, as help shows it.
func (k key) kind() string {
	switch k.value.Kind() {
	case reflect.Bool:
		return "bool"
	case reflect.Slice:
		return "list"
	case reflect.String:
		return "text"
	default:
		return "number"
	}
}

// set parses text into the field. A list takes commas between its values.
func (k key) set(text string) error {
	switch k.value.Kind() {
	case reflect.Bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		k.value.SetBool(on)
	case reflect.Slice:
		k.setList(splitList(text))
	case reflect.String:
		k.value.SetString(text)
	default:
		digits := strings.ReplaceAll(text, "_", "")
		number, err := strconv.ParseUint(digits, 10, k.value.Type().Bits())
		if err != nil {
			return fmt.Errorf("%q is not a whole number from 0 to %d", text,
				uint64(1)<<(k.value.Type().Bits()-1)*2-1)
		}
		k.value.SetUint(number)
	}
	return nil
}

func (k key) setList(values []string) { k.value.Set(reflect.ValueOf(values)) }

// setTOML takes a value as the TOML decoder gives it.
func (k key) setTOML(value any) error {
	switch v := value.(type) {
	case string:
		if k.list() {
			return fmt.Errorf("%q is not a list: write [%q]", v, v)
		}
		if k.value.Kind() == reflect.Bool {
			return fmt.Errorf("%q is in quotes: write true or false without", v)
		}
		return k.set(v) // also a number in quotes, since amounts are that elsewhere
	case int64:
		return k.setNumber(v)
	case bool:
		if k.value.Kind() != reflect.Bool {
			return fmt.Errorf("%t is not a %s", v, k.kind())
		}
		k.value.SetBool(v)
		return nil
	case []any:
		return k.setTOMLList(v)
	}
	return fmt.Errorf("%v is not a %s", value, k.kind())
}

func (k key) setNumber(v int64) error {
	switch k.value.Kind() {
	case reflect.Bool, reflect.Slice:
		return fmt.Errorf("%d is not a %s", v, k.kind())
	case reflect.String:
		return fmt.Errorf("%d has to be in quotes", v)
	default:
		return k.set(strconv.FormatInt(v, 10))
	}
}

func (k key) setTOMLList(items []any) error {
	if !k.list() {
		return fmt.Errorf("a list is not a %s", k.kind())
	}
	values := make([]string, len(items))
	for i, item := range items {
		text, ok := item.(string)
		if !ok {
			return fmt.Errorf("%v in the list has to be in quotes", item)
		}
		values[i] = text
	}
	k.setList(values)
	return nil
}

// String is the value as a flag shows it.
func (k key) String() string {
	if k.list() {
		return strings.Join(k.value.Interface().([]string), ",")
	}
	return fmt.Sprint(k.value.Interface())
}

// splitList splits at commas and drops what is empty.
func splitList(text string) []string {
	values := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			values = append(values, item)
		}
	}
	return values
}
