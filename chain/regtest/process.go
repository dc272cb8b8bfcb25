package regtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	stopTimeout  = 30 * time.Second
	startTimeout = 60 * time.Second
	lookInterval = 10 * time.Millisecond // between two looks at a program that is starting
	keptLines    = 20                    // of the program's output, for error messages
)

// process is one run of a child program.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed once the program has ended and was waited for

	mu    sync.Mutex
	lines []string // guarded by mu; the last of its output
	err   error    // guarded by mu; how it ended
}

// startProcess runs a program that dies with this process.
func startProcess(program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
	p.cmd.SysProcAttr = dieWithParent()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("regtest: start %s: %w", program, err)
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in

	started := make(chan error)
	go p.routineRun(started, out, in)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("regtest: start %s: %w", program, err)
	}
	return p, nil
}

// routineRun starts the program and waits for its end; end waits for the closing of exited. It
// stays on one thread, because the kernel kills the child when the thread that made it ends.
func (p *process) routineRun(started chan<- error, out, in *os.File) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		started <- err
		return
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.keepOutput(out)
	}()
	started <- nil
	err = p.cmd.Wait()
	<-read
	out.Close()
	p.mu.Lock()
	p.err = err
	p.mu.Unlock()
	close(p.exited)
}

func (p *process) keepOutput(out io.Reader) {
	scanner := bufio.NewScanner(out)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		if len(p.lines) == keptLines {
			p.lines = p.lines[1:]
		}
		p.lines = append(p.lines, scanner.Text())
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out) // a line over the limit ends the scanner, not the program
}

// failure describes a program that ended by itself.
func (p *process) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := errors.New(p.cmd.Path + " ended")
	return fmt.Errorf("%w: %s", errors.Join(ended, p.err), strings.Join(p.lines, "\n"))
}

// end sends the signal and waits. A program that does not follow it in time is killed.
func (p *process) end(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("regtest: signal %s: %w", p.cmd.Path, err)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("regtest: kill %s: %w", p.cmd.Path, err)
	}
	<-p.exited
	return fmt.Errorf("regtest: %s did not stop within %v and was killed", p.cmd.Path,
		stopTimeout)
}

// await calls look until it is done or fails. Nothing announces what it waits for.
func await(ctx context.Context, look func() (done bool, err error)) error {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		done, err := look()
		if err != nil || done {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Ports are drawn below the range from which the kernel takes source ports of outgoing
// connections, else a restarted program would find its port taken now and then.
const (
	firstPort = 18000
	lastPort  = 32000
)

// freeAddr finds a port of 127.0.0.1 on which nobody listens.
func freeAddr() (string, error) {
	var lastErr error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			lastErr = err
			continue
		}
		l.Close()
		return addr, nil
	}
	return "", fmt.Errorf("regtest: find a free port: %w", lastErr)
}
