//go:build !unix || aix || solaris

package pglocal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Server is not available on this system.
type Server struct{}

// Start returns an error that wraps errors.ErrUnsupported.
func Start(context.Context, Config) (*Server, error) {
	return nil, fmt.Errorf("starting postgres: %w on %s: it needs Unix sockets, file locks and /bin/sh; "+
		"run a server yourself and give its address, for the tests as COORDAUDIT_TEST_DATABASE_URL", errors.ErrUnsupported, runtime.GOOS)
}

// URL is empty.
func (*Server) URL() string { return "" }

// DatabaseURL is empty.
func (*Server) DatabaseURL(string) string { return "" }

// Version is empty.
func (*Server) Version() string { return "" }

// Stop does nothing.
func (*Server) Stop() error { return nil }

// Kill fails.
func (*Server) Kill() error { return errors.ErrUnsupported }

// ShutDown fails.
func (*Server) ShutDown() error { return errors.ErrUnsupported }

// Restart fails.
func (*Server) Restart(context.Context) error { return errors.ErrUnsupported }

// StartStandby fails.
func (*Server) StartStandby(context.Context, Config) (*Server, error) {
	return nil, errors.ErrUnsupported
}

// Promote fails.
func (*Server) Promote(context.Context) error { return errors.ErrUnsupported }

// Freeze fails.
func (*Server) Freeze() error { return errors.ErrUnsupported }

// Thaw fails.
func (*Server) Thaw() error { return errors.ErrUnsupported }

// Reconfigure fails.
func (*Server) Reconfigure(string, string) error { return errors.ErrUnsupported }
