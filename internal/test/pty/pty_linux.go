// Package pty runs a program on a pseudo-terminal, as a person at a keyboard does.
package pty

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// Terminal is a pseudo-terminal with a program on it.
type Terminal struct {
	tb      testing.TB
	master  *os.File
	command *exec.Cmd

	mu      sync.Mutex
	written strings.Builder // by the program, as it came
	read    sync.WaitGroup
}

// Start runs a command on a terminal of that size. A stream that the command names already,
// such as a file for its output, stays as it is.
func Start(tb testing.TB, columns, rows int, command *exec.Cmd) *Terminal {
	tb.Helper()
	master, slave := open(tb)
	defer func() { _ = slave.Close() }() // the command has it
	t := &Terminal{tb: tb, master: master, command: command}
	t.Resize(columns, rows)
	if command.Stdin == nil {
		command.Stdin = slave
	}
	if command.Stdout == nil {
		command.Stdout = slave
	}
	if command.Stderr == nil {
		command.Stderr = slave
	}
	// The program leads a session, so that it has the terminal for its keyboard and signals.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: descriptorOf(command, slave)}
	if err := command.Start(); err != nil {
		_ = master.Close()
		tb.Fatal(err)
	}
	t.read.Go(t.collect)
	tb.Cleanup(t.end)
	return t
}

// descriptorOf is the number that the terminal has in the new process.
func descriptorOf(command *exec.Cmd, slave *os.File) int {
	switch slave {
	case command.Stdin:
		return 0
	case command.Stdout:
		return 1
	default:
		return 2
	}
}

func open(tb testing.TB) (master, slave *os.File) {
	tb.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		tb.Fatalf("opening a pseudo-terminal: %v", err)
	}
	var number, unlock int32
	control(tb, master, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	control(tb, master, syscall.TIOCGPTN, unsafe.Pointer(&number))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		_ = master.Close()
		tb.Fatalf("opening a pseudo-terminal: %v", err)
	}
	return master, slave
}

func control(tb testing.TB, file *os.File, request uintptr, argument unsafe.Pointer) {
	tb.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		tb.Fatalf("setting up a pseudo-terminal: %v", errno)
	}
}

// Resize gives the terminal another size.
func (t *Terminal) Resize(columns, rows int) {
	t.tb.Helper()
	size := struct{ rows, columns, width, height uint16 }{uint16(rows), uint16(columns), 0, 0}
	control(t.tb, t.master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

func (t *Terminal) collect() {
	part := make([]byte, 4096)
	for {
		n, err := t.master.Read(part)
		t.mu.Lock()
		t.written.Write(part[:n])
		t.mu.Unlock()
		if err != nil { // EIO once every process has left the terminal
			return
		}
	}
}

// Type presses keys.
func (t *Terminal) Type(keys string) {
	t.tb.Helper()
	if _, err := t.master.WriteString(keys); err != nil {
		t.tb.Errorf("typing %q: %v", keys, err)
	}
}

// Written is what the program has written so far, with line ends as the program wrote them.
func (t *Terminal) Written() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.ReplaceAll(t.written.String(), "\r\n", "\n")
}

// Await waits until the program has written the text.
func (t *Terminal) Await(text string) {
	t.tb.Helper()
	for range 3000 {
		if strings.Contains(t.Written(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.tb.Fatalf("%q was not written within 30 s; there is:\n%q", text, t.Written())
}

// Wait waits for the end of the program and returns its exit code and what it wrote.
func (t *Terminal) Wait() (code int, written string) {
	t.tb.Helper()
	ended := time.AfterFunc(time.Minute, func() { _ = t.command.Process.Kill() })
	defer ended.Stop()
	err := t.command.Wait()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.tb.Fatal(err)
	}
	t.read.Wait()
	return t.command.ProcessState.ExitCode(), t.Written()
}

// end kills what is left.
func (t *Terminal) end() {
	if t.command.ProcessState == nil {
		_ = t.command.Process.Kill()
		_ = t.command.Wait()
	}
	t.read.Wait()
	_ = t.master.Close()
}
