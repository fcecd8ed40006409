// Command shim stands on a PATH under many names and asks the simulation what its name would do.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
)

// What a program may depend on besides its arguments.
var passed = []string{
	"TALOSCONFIG", "KUBECONFIG", "SOPS_AGE_KEY_FILE", "SOPS_CONFIG", "HOME", "DEBIAN_FRONTEND", "SIMULATION_SESSION", "SIMULATION_USER",
}

type hello struct {
	Program string            `json:"program"`
	Argv    []string          `json:"argv"`
	Cwd     string            `json:"cwd"`
	Machine string            `json:"machine"`
	Env     map[string]string `json:"env"`
	Pid     int               `json:"pid"`
	Uid     int               `json:"uid"`
	// Whether there is something to read: a terminal is never read.
	Stdin bool `json:"stdin"`
}

// One line of the simulation; only what is set counts.
type answer struct {
	Stdin  bool              `json:"stdin"`
	Stdout []byte            `json:"stdout"`
	Stderr []byte            `json:"stderr"`
	Exec   string            `json:"exec"`
	Argv   []string          `json:"argv"`
	Env    map[string]string `json:"env"`
	Code   *int              `json:"code"`
	Leaves bool              `json:"leaves"`
}

type report struct {
	Data   []byte `json:"data,omitempty"`
	End    bool   `json:"end,omitempty"`
	Exited *int   `json:"exited,omitempty"`
}

func main() {
	socket := os.Getenv("SIMULATION_SOCKET")
	if socket == "" {
		socket = "/run/simulation.sock"
	}
	connection, err := net.Dial("unix", socket)
	if err != nil {
		fail(err)
	}
	machine := os.Getenv("SIMULATION_MACHINE")
	if machine == "" {
		machine = "local"
	}
	cwd, _ := os.Getwd()
	info, err := os.Stdin.Stat()
	hasInput := err == nil && info.Mode()&os.ModeCharDevice == 0
	env := map[string]string{}
	for _, name := range passed {
		if value, found := os.LookupEnv(name); found {
			env[name] = value
		}
	}
	var sending sync.Mutex
	encoder := json.NewEncoder(connection)
	send := func(message any) error {
		sending.Lock()
		defer sending.Unlock()
		return encoder.Encode(message)
	}
	program := filepath.Base(os.Args[0])
	if err := send(hello{program, os.Args[1:], cwd, machine, env, os.Getpid(), os.Getuid(), hasInput}); err != nil {
		fail(err)
	}
	decoder := json.NewDecoder(bufio.NewReaderSize(connection, 1<<16))
	for {
		var said answer
		if err := decoder.Decode(&said); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the simulation hung up")
			}
			fail(err)
		}
		os.Stdout.Write(said.Stdout)
		os.Stderr.Write(said.Stderr)
		switch {
		case said.Stdin:
			// Beside the answers: a remote command may end before its input does.
			go copyInput(send)
		case said.Exec != "":
			code := run(said)
			send(report{Exited: &code})
		case said.Code != nil:
			if said.Leaves {
				leave()
			}
			os.Exit(*said.Code)
		}
	}
}

func copyInput(send func(any) error) {
	chunk := make([]byte, 1<<16)
	for {
		count, err := os.Stdin.Read(chunk)
		if count > 0 && send(report{Data: chunk[:count]}) != nil {
			return
		}
		if err != nil {
			send(report{End: true})
			return
		}
	}
}

func run(said answer) int {
	// Signals of the terminal reach the child as well; its end is the one that counts.
	signal.Ignore(os.Interrupt)
	command := exec.Command(said.Exec, said.Argv...)
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.Env = os.Environ()
	for name, value := range said.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	if os.Geteuid() == 0 && os.Getuid() != 0 {
		// sudo: the file has the set-user-ID bit.
		if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(0), syscall.Setuid(0)); err != nil {
			fail(err)
		}
	}
	// It stands in the place of this program, and dies with it.
	runtime.LockOSThread()
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	err := command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	}
	os.Stderr.WriteString(err.Error() + "\n")
	return 127
}

// A program that stays for a minute with every file that was open when this one began.
func leave() {
	command := exec.Command("sleep", "60")
	command.Dir = "/"
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	os.Stderr.WriteString(filepath.Base(os.Args[0]) + ": simulation: " + err.Error() + "\n")
	os.Exit(126)
}
