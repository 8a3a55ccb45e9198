//go:build unix

package builtin

import (
	"os/exec"
	"syscall"
)

// killGroup makes cancelling kill the program's whole process group: a shell's children too.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
