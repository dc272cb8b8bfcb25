package lsp

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// Token gives those who know it a menu of their own.
type Token struct {
	// Name is what the operator calls it; orders that were sold by it bear the name.
	Name string

	// Hash is HashToken of the secret that clients send in get_info.
	Hash [32]byte

	// Disabled revokes the token: nothing more is sold by it, not even what was promised.
	Disabled bool

	// ExpiresAt ends it in the same way; zero is never.
	ExpiresAt time.Time

	// MaxOpen bounds the orders that were bought by it and are not yet paid or dead,
	// MaxOrders those and the paid ones together; zero is no bound. An order that runs out
	// unpaid does not use the token up.
	MaxOpen, MaxOrders int

	// Menu is what it sells; empty is the menu of everybody.
	Menu []MenuItem
}

const (
	maxTokens    = 1000 // each is compared with what a client sends
	maxTokenName = 64
)

// HashToken is how a token's secret is kept.
func HashToken(secret string) [32]byte { return sha256.Sum256([]byte(secret)) }

// id names the token in promises. It tells a client nothing that it does not know, and
// another secret under the same name is another token.
func (t *Token) id() string {
	sum := sha256.Sum256(append([]byte("inlet lsps2 token id"), t.Hash[:]...))
	return hex.EncodeToString(sum[:8])
}

// stands says whether anything is sold by the token at this moment.
func (t *Token) stands(now time.Time) bool {
	return !t.Disabled && (t.ExpiresAt.IsZero() || now.Before(t.ExpiresAt))
}

func (t *Token) name() string {
	if t == nil {
		return ""
	}
	return t.Name
}

func (t *Token) place() string { return fmt.Sprintf("lsp.tokens %q", t.Name) }

func (t *Token) check(channels ChannelPolicy) error {
	switch {
	case t.Name == "" || len(t.Name) > maxTokenName:
		return fmt.Errorf("lsp.tokens: name is %q: 1 to %d bytes", t.Name, maxTokenName)
	case strings.ContainsFunc(t.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("lsp.tokens: name %q has characters that can't be shown", t.Name)
	case t.Hash == [32]byte{}:
		return fmt.Errorf("%s: it has no secret: give token or token_sha256", t.place())
	case t.MaxOpen < 0 || t.MaxOrders < 0:
		return fmt.Errorf("%s: a limit is negative", t.place())
	}
	return checkMenu(nameItems(t.place()+" menu", t.Menu), channels)
}

func checkTokens(tokens []Token, channels ChannelPolicy) error {
	if len(tokens) > maxTokens {
		return fmt.Errorf("lsp.tokens: %d are more than %d", len(tokens), maxTokens)
	}
	names, ids := map[string]bool{}, map[string]string{}
	for i := range tokens {
		t := &tokens[i]
		if err := t.check(channels); err != nil {
			return err
		}
		if names[t.Name] {
			return fmt.Errorf("%s: two tokens have that name: give one another", t.place())
		}
		if other, taken := ids[t.id()]; taken {
			return fmt.Errorf("%s and %q have the same secret: give one another", t.place(), other)
		}
		names[t.Name], ids[t.id()] = true, t.Name
	}
	return nil
}

// catalogue is all that is sold. It never changes: SetMenu makes another.
type catalogue struct {
	offer  Offer
	public []namedItem // in order
	tokens []Token
	menus  map[string][]namedItem // of tokens that have their own, by name, in order
	ids    map[string]*Token
}

// newCatalogue checks what the operator wants to sell.
func newCatalogue(offer Offer, tokens []Token, channels ChannelPolicy) (*catalogue, error) {
	if err := channels.Validate(); err != nil {
		return nil, err
	}
	if err := offer.validate(); err != nil {
		return nil, fmt.Errorf("lsp.lsps2: %w", err)
	}
	if err := checkMenu(offer.named(), channels); err != nil {
		return nil, err
	}
	if err := checkTokens(tokens, channels); err != nil {
		return nil, err
	}
	c := &catalogue{
		offer: offer, public: inOrder(offer.named()), tokens: append([]Token(nil), tokens...),
		menus: map[string][]namedItem{}, ids: map[string]*Token{},
	}
	for i := range c.tokens {
		t := &c.tokens[i]
		c.ids[t.id()] = t
		if len(t.Menu) > 0 {
			c.menus[t.Name] = inOrder(nameItems(t.place()+" menu", t.Menu))
		}
	}
	return c, nil
}

// CheckMenu says what is wrong with a menu, by the names of the configuration.
func CheckMenu(offer Offer, tokens []Token, channels ChannelPolicy) error {
	_, err := newCatalogue(offer, tokens, channels)
	return err
}

// items are those that a token sells; nil is no token.
func (c *catalogue) items(t *Token) []namedItem {
	if t != nil && len(t.Menu) > 0 {
		return c.menus[t.Name]
	}
	return c.public
}

// known finds the token with this secret. All are compared, in constant time each, so
// that a token cannot be felt out.
func (c *catalogue) known(secret string) *Token {
	got, found := HashToken(secret), -1
	for i := range c.tokens {
		same := subtle.ConstantTimeCompare(got[:], c.tokens[i].Hash[:])
		found = subtle.ConstantTimeSelect(same, i, found)
	}
	if found < 0 {
		return nil
	}
	return &c.tokens[found]
}
