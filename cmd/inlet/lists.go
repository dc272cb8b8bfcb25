package main

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Some sections can be in the file any number of times, as [[lsp.tokens]]. Their keys are of each
// table, so they have no name in the environment and no flag.

// row is one table of such a list, as the TOML decoder gives it.
type row = map[string]any

// listPaths are the lists of the file.
func listPaths() []string {
	return []string{"lsp.lsps2.menu", "lsp.tokens"}
}

// isList says whether a field is a list of tables.
func isList(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

// asRows gives the tables of a list, written with double brackets or inline.
func asRows(value any) (rows []row, ok bool) {
	switch v := value.(type) {
	case []row:
		return v, true
	case []any:
		for _, item := range v {
			table, isTable := item.(row)
			if !isTable {
				return nil, false
			}
			rows = append(rows, table)
		}
		return rows, true
	}
	return nil, false
}

// applyLists sets the lists of the configuration. It comes after everything else, since what an
// item of a menu leaves out is as in lsp.lsps2.
func (c *Config) applyLists(lists map[string][]row) error {
	var errs []error
	for i, table := range lists["lsp.lsps2.menu"] {
		item := c.LSP.LSPS2.MenuItemConfig
		errs = append(errs, c.applyRow(rowName("lsp.lsps2.menu", i), &item, table))
		c.LSP.LSPS2.Menu = append(c.LSP.LSPS2.Menu, item)
	}
	for i, table := range lists["lsp.tokens"] {
		token := TokenConfig{Enabled: true}
		errs = append(errs, c.applyRow(rowName("lsp.tokens", i), &token, table))
		c.LSP.Tokens = append(c.LSP.Tokens, token)
	}
	return errors.Join(errs...)
}

// rowName names the table of a list for a person, who counts from one.
func rowName(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i+1) }

// applyRow sets the fields of one table, and names every key that is unknown or wrong.
func (c *Config) applyRow(place string, item any, table row) error {
	byName, names := map[string]key{}, []string{}
	for _, k := range appendKeys(nil, "", reflect.ValueOf(item).Elem()) {
		byName[k.path] = k
		names = append(names, k.path)
	}
	token, _ := item.(*TokenConfig)
	if token != nil {
		names = append(names, "menu")
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(table)) {
		k, known := byName[name]
		switch {
		case known:
			if err := k.setTOML(table[name]); err != nil {
				errs = append(errs, fmt.Errorf("%s.%s: %w", place, name, err))
			}
		case token != nil && name == "menu":
			errs = append(errs, c.applyTokenMenu(place+".menu", token, table[name]))
		default:
			errs = append(errs, fmt.Errorf("%s: %w", place, unknownKey("key", name, names)))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) applyTokenMenu(place string, token *TokenConfig, value any) error {
	rows, ok := asRows(value)
	if !ok {
		return fmt.Errorf("%s: it is not a list of tables: write [[lsp.tokens.menu]]", place)
	}
	var errs []error
	for i, table := range rows {
		item := c.LSP.LSPS2.MenuItemConfig
		errs = append(errs, c.applyRow(rowName(place, i), &item, table))
		token.Menu = append(token.Menu, item)
	}
	return errors.Join(errs...)
}
