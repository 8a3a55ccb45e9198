//go:build unix

package builtin

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// A guard ends programs whose regft was killed: it is a shell that hears of every process group that begins and ends,
// and kills what is left when regft's end of the pipe closes. Without a shell there is no guard.
type guard struct{ pipe *os.File }

const guardScript = `all=
while read -r what group; do
  left=
  for g in $all; do [ "$g" = "$group" ] || left="$left $g"; done
  all=$left
  [ "$what" = end ] || all="$all $group"
done
for g in $all; do kill -KILL "-$g"; done`

// newGuard starts a guard, in a session of its own: what ends regft's terminal or process group leaves it.
func newGuard() *guard {
	read, write, err := os.Pipe()
	if err != nil {
		return &guard{}
	}
	defer read.Close()
	cmd := exec.Command("sh", "-c", guardScript)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.SysProcAttr = "/", []string{}, read, &syscall.SysProcAttr{Setsid: true}
	if cmd.Start() != nil {
		write.Close()
		return &guard{}
	}
	return &guard{write}
}

// begin and end tell of the process group that a program leads. A line is shorter than what a pipe takes at once.
func (g *guard) begin(p *os.Process) { g.tell("begin", p) }
func (g *guard) end(p *os.Process)   { g.tell("end", p) }

func (g *guard) tell(what string, p *os.Process) {
	if g.pipe != nil {
		_, _ = fmt.Fprintf(g.pipe, "%s %d\n", what, p.Pid) // of a guard that was killed nobody hears
	}
}
