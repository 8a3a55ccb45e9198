package cache

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// LockOwner says which process holds the lock of an action, such as "process 17
// on host", "" where that is not known, and whether that is another than this.
func (d *Dir) LockOwner(action ActionID) (owner string, other bool) {
	content, _ := os.ReadFile(filepath.Join(d.root, locksFolder, action.hex())) // none: it is free
	owner = strings.TrimSpace(string(content))
	return owner, owner != thisProcess()
}

func thisProcess() string {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// signLock leaves in the file of a lock who holds it. It is only for people.
func signLock(path string) {
	_ = os.WriteFile(path, []byte(thisProcess()+"\n"), 0o666)
}
