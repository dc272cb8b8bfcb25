//go:build !linux

package regtest

import "syscall"

// dieWithParent has no means on this system: a killed parent leaves its children behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
