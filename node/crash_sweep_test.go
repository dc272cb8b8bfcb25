package node_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/inletlsp/inlet/node"
)

// allPoints says that every point is to be run (make crash), not the sample of `make test`.
var allPoints = os.Getenv("INLET_CRASH") == "all"

// victims are the nodes that die.
var victims = []string{"lsp", "client"}

// blow is what strikes a node.
type blow struct {
	who      string
	diskOnly bool // its disk fails; else it dies
	dies     func(n int, at moment) bool
}

// mortal arms the lifeline of a victim.
func (a *act) mortal(b blow) *lifeline {
	victim, life := a.market.seller, a.lspLife
	a.lspLife.arm(false, nil)
	if b.who == "client" {
		victim, life = a.client, a.cliLife
	}
	a.errors.take()
	a.struck = life.arm(b.diskOnly, b.dies)
	a.mend = func() {
		a.t.Helper()
		// The latch of the store stands for the death of the process: nothing is written
		// after it. So the next life starts from the same file.
		if err := victim.Ended(); !errors.Is(err, node.ErrDisk) {
			a.t.Errorf("the node ended with %v, want ErrDisk", err)
		}
		if late := life.revive(); len(late) != 0 {
			a.t.Errorf("after the disk's error the node has sent %v", late)
		}
		if said := a.errors.take(); b.who == "lsp" && !slices.ContainsFunc(said, isDiskError) {
			a.t.Errorf("the log says nothing of the disk: %q", said)
		}
		victim.Start()
		a.meet()
	}
	return life
}

func isDiskError(line string) bool {
	return strings.Contains(line, "the database could not be written")
}

// enumerate lists the writes of one sale in which nobody dies.
func (st *stage) enumerate(t *testing.T, who string) (list []moment) {
	t.Helper()
	st.in(t, func() {
		a := st.newAct()
		life := a.mortal(blow{who: who})
		a.play()
		list = life.disarm()
		a.check()
		a.serves()
		a.client.Stop()
	})
	return list
}

// strike makes one sale in which a node is struck, and checks what is left. It says
// whether the moment came.
func (st *stage) strike(t *testing.T, b blow) (hit bool) {
	st.in(t, func() {
		began := time.Now()
		a := st.newAct()
		life := a.mortal(b)
		a.play()
		life.disarm() // first: what strikes after the last look would never be made good
		a.raise()
		a.check()
		a.serves()
		a.client.Stop()
		hit = a.fell
		t.Logf("struck: %v, %d parts, %v", hit, len(a.got.Parts), time.Since(began))
	})
	return hit
}

// tries is how often a moment is waited for: with goroutines side by side not every run
// has the same writes in the same number.
const tries = 4

// TestCrashAtEveryWrite: LSP and client die before and after each durable write of a sale
// and start again (LSPS2-99, -102, -103). In the sample of `make test` each write of the
// first list is struck once, before or after it, and some of the others.
func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, s := range sales {
		for _, who := range victims {
			t.Run(s.name+", "+who, func(t *testing.T) { sweep(t, s, blow{who: who}) })
		}
	}
}

// TestDiskErrorAtEveryWrite: the disk refuses one write of a sale, or reports an error
// although it has written. The node signs and broadcasts nothing after it, says why and
// ends; with a disk that works it takes everything up again.
func TestDiskErrorAtEveryWrite(t *testing.T) {
	t.Parallel()
	sweep(t, sales[0], blow{who: "lsp", diskOnly: true})
}

// sweep strikes at each write that was chosen.
func sweep(t *testing.T, s sale, b blow) {
	st := newStage(t, s, 1)
	all := st.enumerate(t, b.who)
	share := every
	switch {
	case b.diskOnly:
		share = few
	case s.parts > 1:
		share = half // the same writes as with one part, most of them twice
	}
	points := chosen(all, share)
	var struck, missed int
	for _, m := range points {
		hit := false
		b.dies = func(_ int, now moment) bool { return now == m }
		ok := t.Run(m.String(), func(t *testing.T) {
			for n := 0; n < tries && !hit; n++ {
				hit = st.strike(t, b)
			}
		})
		struck++
		if !hit && ok {
			missed++
			t.Logf("did not come in %d tries: %s", tries, m)
		}
		if !ok {
			st = newStage(t, s, 1) // what is left of a failure is no ground for the next point
		}
	}
	_, htlcs, longest := st.guard.report()
	t.Logf("%d of %d points struck (%d writes, before and after), %d did not come; %d HTLCs, the "+
		"longest out for %v; fee waived %d times, %d payments tried again",
		struck, 2*len(all), len(all), missed, htlcs, longest, st.waived, st.retried)
	if struck != len(points) || missed*10 > len(points) {
		t.Errorf("%d of %d points were struck, %d did not come", struck, len(points), missed)
	}
}

// critical are the writes at which money moves: what is owed, promised, funded, signed
// and known.
var critical = []string{
	"inlet-orders", "inlet-fundings", "inlet-purchases", "LeaseOutput", "SyncPending", "MarkAsOpen",
	"circuit-adds", "circuit-keystones", "alias-bucket", "AppendRemoteCommitChain", "WitnessCache", "invoices",
}

// share is how much of the critical writes the sample has: each of them, every second
// one, or no more than of the others.
type share int

const (
	every share = iota
	half
	few
)

// chosen are the moments to strike at: all, or the sample of `make test`.
func chosen(list []moment, of share) []moment {
	var points []moment
	only, others, worth := os.Getenv("INLET_CRASH_AT"), 0, 0
	for i, m := range list {
		money := of != few && slices.ContainsFunc(critical, func(name string) bool {
			return strings.Contains(m.name, name)
		})
		if money {
			worth++
		}
		if money = money && (of == every || worth%2 == 1); !money {
			others++
		}
		for _, m.after = range []bool{false, true} {
			switch {
			case only != "" && !strings.Contains(m.String(), only):
			case only != "" || allPoints,
				money && m.after == (i%2 == 0),
				!money && others%8 == 1 && m.after == (others%16 == 1):

				points = append(points, m)
			}
		}
	}
	return points
}

// TestCrashAtRandom: the same with writes that share commits, at random moments. The seed
// in the log makes the choice again, though not the order of the goroutines.
func TestCrashAtRandom(t *testing.T) {
	t.Parallel()
	seed, rounds := uint64(time.Now().UnixNano()), 2
	if allPoints {
		rounds = 16
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, s := range sales {
		st := newStage(t, s, 0)
		for _, who := range victims {
			commits := len(st.enumerate(t, who))
			for range rounds {
				at, done := 1+rnd.IntN(commits), rnd.IntN(2) == 1
				ok := t.Run(fmt.Sprintf("%s, %s, commit %d of %d", s.name, who, at, commits),
					func(t *testing.T) {
						st.strike(t, blow{who: who, dies: func(n int, now moment) bool {
							return n == at && now.after == done
						}})
					})
				if !ok {
					st = newStage(t, s, 0)
				}
			}
		}
	}
}
