package world

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// lifeSteps is how many lines a random history has, before it is drained.
const lifeSteps = 60

// steps is how many lines are drawn in all.
func steps(t *testing.T) int {
	text := os.Getenv("INLET_HISTORY_STEPS")
	if text == "" {
		if testing.Short() {
			return 2_000
		}
		return 20_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("INLET_HISTORY_STEPS: %v", err)
	}
	return n
}

// firstSeed is where the seeds begin, so that each long run sees other histories.
func firstSeed(t *testing.T) uint64 {
	text := os.Getenv("INLET_HISTORY_SEED")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("INLET_HISTORY_SEED: %v", err)
	}
	return n
}

// TestHistories drives the order machines and the funding machines together through
// random histories. A failure prints its seed and the shortest script that shows it.
func TestHistories(t *testing.T) {
	reached := map[string]int{}
	total, lives := steps(t), 0
	for seed := firstSeed(t); lives*lifeSteps < total; seed++ {
		lives++
		lines, broke := live(seed, reached)
		if broke == nil {
			continue
		}
		found := (int(seed-firstSeed(t)) + 1) * lifeSteps
		script := shrink(lines, broke.what)
		w, _, _ := play(script, true)
		t.Fatalf("seed %d, after %d steps: %s: %s\n\n%s\n\nwhich is\n%s", seed, found,
			broke.what, broke.more, strings.Join(script, "\n"), traceOf(w, script))
	}
	t.Logf("%d steps in %d histories, %v", lives*lifeSteps, lives, reached)
	for _, name := range []string{
		"awaiting_parts", "awaiting_client", "awaiting_channel", "awaiting_claim", "owed", "paid",
		"dead", "crash", "broadcast", "forwarded", "closed", "refused",
	} {
		if reached[name] == 0 {
			t.Errorf("%s was never reached", name)
		}
	}
}

// live draws one history and plays it while it is drawn.
func live(seed uint64, reached map[string]int) (lines []string, broke *broken) {
	d := &drawer{Rand: rand.New(rand.NewPCG(seed, 52)), wild: seed%3 > 0}
	w := newWorld()
	defer func() {
		for k, n := range w.count {
			reached[k] += n
		}
		if r := recover(); r != nil {
			b, ok := r.(broken)
			if !ok {
				b = broken{"a panic", fmt.Sprintf("%v\n%s", r, debug.Stack())}
			}
			broke = &b
		}
	}()
	for range lifeSteps {
		text := d.line(w)
		lines = append(lines, text)
		if err := w.line(text); err != nil {
			panic(err)
		}
	}
	lines = append(lines, "drain")
	if err := w.line("drain"); err != nil {
		panic(err)
	}
	return lines, nil
}

// breaks says whether the lines still show the same broken rule.
func breaks(lines []string, what string) (done int, yes bool) {
	_, done, broke := tryPlay(lines)
	return done, broke != nil && broke.what == what
}

// tryPlay is play, with a panic of the machines as a broken rule.
func tryPlay(lines []string) (w *world, done int, broke *broken) {
	defer func() {
		if r := recover(); r != nil {
			broke = &broken{"a panic", fmt.Sprint(r)}
		}
	}()
	return play(lines, false)
}

// shrink cuts the tail, and then every run of lines that is not needed.
func shrink(lines []string, what string) []string {
	if done, yes := breaks(lines, what); yes && done+1 < len(lines) {
		lines = lines[:done+1]
	}
	for size := len(lines) / 2; size > 0; {
		cut := false
		for i := 0; i+size <= len(lines); {
			less := append(append([]string{}, lines[:i]...), lines[i+size:]...)
			if _, yes := breaks(less, what); yes {
				lines, cut = less, true
				continue
			}
			i++
		}
		if !cut || size > 1 {
			size /= 2
		}
	}
	return lines
}

// traceOf is what happened, also when the world broke.
func traceOf(w *world, _ []string) string {
	if w == nil || w.trace == nil {
		return "(a panic of the machine)"
	}
	return w.trace.String()
}
