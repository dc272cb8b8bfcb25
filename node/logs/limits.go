package logs

import (
	"hash/maphash"
	"log/slog"
	"sync"
	"time"
)

// What may be written. A minute has at most the bursts and a minute's worth of the
// rates, which is less than 1 MB for all lines but errors.
const (
	lineBurst, linesPerSecond = 100, 4
	byteBurst, bytesPerSecond = 256 << 10, 10 << 10

	// sameError is for how long an error is not repeated word for word.
	sameError = time.Minute

	// maxMessages and maxErrors bound what is remembered. Ours are some hundred
	// constants; others share one rate. An error that finds no place is written.
	maxMessages, maxErrors = 512, 512

	// tellEvery is how often what was left out is told, maxNews of how many messages.
	tellEvery = 10 * time.Second
	maxNews   = 32
)

// bucket is a token bucket that is full when it is zero.
type bucket struct {
	spent float64
	at    time.Time
}

// take takes n of burst tokens if they are there.
func (b *bucket) take(now time.Time, n, burst, perSecond float64) bool {
	b.flow(now, perSecond)
	if b.spent+n > burst {
		return false
	}
	b.spent += n
	return true
}

// force takes n tokens that need not be there.
func (b *bucket) force(now time.Time, n, perSecond float64) {
	b.flow(now, perSecond)
	b.spent += n
}

func (b *bucket) flow(now time.Time, perSecond float64) {
	// A clock that went back must not make the debt grow.
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.spent = max(0, b.spent-passed*perSecond)
	}
	b.at = now
}

// message is what is remembered of lines with the same message.
type message struct {
	lines   bucket
	at      time.Time // of the last one
	level   slog.Level
	leftOut int
}

// pastError is an error that was written.
type pastError struct {
	at      time.Time
	text    string
	leftOut int
}

// news are lines that were left out.
type news struct {
	level   slog.Level
	message string
	count   int
}

// limits are shared by a Guard and all that come of it by With.
type limits struct {
	top  slog.Handler // the handler without attributes
	seed maphash.Seed

	mu       sync.Mutex
	bytes    bucket                // guarded by mu
	messages map[string]*message   // guarded by mu
	others   message               // of messages that found no place; guarded by mu
	errors   map[uint64]*pastError // by all that is in the line; guarded by mu
	told     time.Time             // when news were told last; guarded by mu
}

func newLimits(top slog.Handler) *limits {
	return &limits{
		top: top, seed: maphash.MakeSeed(),
		messages: map[string]*message{}, errors: map[uint64]*pastError{},
	}
}

// admit says whether a line may be written, and which others it is time to tell of.
// with are the attributes of its logger.
func (l *limits) admit(r slog.Record, with string, size int) (bool, []news) {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.news(r.Time)
	if r.Level >= slog.LevelError {
		return l.admitError(r, with, size), told
	}
	m := l.messages[r.Message]
	switch {
	case m != nil:
	case len(l.messages) < maxMessages:
		m = &message{}
		l.messages[r.Message] = m
	default:
		m = &l.others
	}
	m.level, m.at = r.Level, r.Time
	if !m.lines.take(r.Time, 1, lineBurst, linesPerSecond) ||
		!l.bytes.take(r.Time, float64(size), byteBurst, bytesPerSecond) {
		m.leftOut++
		return false, told
	}
	return true, told
}

// admitError lets an error through unless it is a repetition. What it takes counts
// against the other lines.
func (l *limits) admitError(r slog.Record, with string, size int) bool {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(r.Message + "\n" + with)
	r.Attrs(func(a slog.Attr) bool {
		_, _ = h.WriteString("\n" + a.String())
		return true
	})
	past := l.errors[h.Sum64()]
	if past != nil && within(past.at, r.Time, sameError) {
		past.leftOut++
		return false
	}
	if past == nil && len(l.errors) < maxErrors {
		past = &pastError{}
		l.errors[h.Sum64()] = past
	}
	if past != nil {
		past.at, past.text = r.Time, r.Message
	}
	l.bytes.force(r.Time, float64(size), bytesPerSecond)
	return true
}

// within says that no more than d has passed; a clock that went back has passed all.
func within(from, now time.Time, d time.Duration) bool {
	passed := now.Sub(from)
	return passed >= 0 && passed < d
}

// news takes the counts of what was left out, when it is time, and forgets what is old.
// They come from a map, in no order; those beyond maxNews wait.
func (l *limits) news(now time.Time) (list []news) {
	if within(l.told, now, tellEvery) {
		return nil
	}
	l.told = now
	tell := func(level slog.Level, text string, leftOut *int) bool {
		if *leftOut == 0 || len(list) == maxNews {
			return *leftOut == 0
		}
		list = append(list, news{level, text, *leftOut})
		l.bytes.force(now, float64(overhead+len(text)), bytesPerSecond)
		*leftOut = 0
		return false
	}
	for text, m := range l.messages {
		if tell(m.level, text, &m.leftOut) && !within(m.at, now, time.Minute) {
			delete(l.messages, text)
		}
	}
	tell(l.others.level, "many different ones", &l.others.leftOut)
	for key, e := range l.errors {
		if within(e.at, now, sameError) {
			continue
		}
		if tell(slog.LevelError, e.text, &e.leftOut) {
			delete(l.errors, key)
		}
	}
	return list
}
