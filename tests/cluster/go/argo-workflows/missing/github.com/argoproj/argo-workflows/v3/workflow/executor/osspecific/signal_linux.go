// What the module at this version calls on Linux and is served without: signals to a step's processes, and their end.

package osspecific

import (
	"os"
	"syscall"

	"github.com/argoproj/argo-workflows/v3/util/errors"
)

// Term asks a process to end.
const Term = syscall.SIGTERM

// CanIgnoreSignal says which signals are the Go runtime's and the kernel's own business, not the step's.
func CanIgnoreSignal(signal os.Signal) bool {
	return signal == syscall.SIGCHLD || signal == syscall.SIGURG
}

// Setpgid gives the step's processes a group of their own.
func Setpgid(attributes *syscall.SysProcAttr) { attributes.Setpgid = true }

// Kill sends a signal to the step's whole group, which its first process leads.
func Kill(pid int, signal syscall.Signal) error { return syscall.Kill(-pid, signal) }

// Wait returns how the step's first process ended. As process 1 of the container, it reaps orphans on the way.
func Wait(process *os.Process) error {
	for {
		var status syscall.WaitStatus
		switch pid, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR || (err == nil && pid != process.Pid):
			continue
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case status.Signaled():
			return errors.NewExitErr(128 + int(status.Signal()))
		default:
			return errors.NewExitErr(status.ExitStatus())
		}
	}
}
