package main

import "syscall"

// diesWithTest makes a process end with the test binary, however that ends.
func diesWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
