package regtest

import "syscall"

// dieWithParent makes the kernel kill the child when its parent dies, however it dies. The child
// has a process group of its own: a Ctrl-C is for the parent, which ends its nodes first.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
