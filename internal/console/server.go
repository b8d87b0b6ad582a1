package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The times of the server. A page's own is set with its write deadline.
const (
	headerTime   = 5 * time.Second
	idleTime     = time.Minute
	shutdownTime = 10 * time.Second
	maxHeader    = 32 << 10
)

// Serve answers on a listener until ctx ends. Then it ends the live tails, and waits for the
// pages that are on their way, but not for long. It closes the listener.
func (c *Console) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: c.handler, ReadHeaderTimeout: headerTime, ReadTimeout: 2 * headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		DisableGeneralOptionsHandler: true, // OPTIONS * is not answered past the guard either
		ErrorLog:                     slog.NewLogLogger(c.config.Logger.Handler(), slog.LevelDebug),
	}
	server.RegisterOnShutdown(c.EndTails)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving the console: %w", err)
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err := server.Shutdown(bounded)
	if errors.Is(err, context.DeadlineExceeded) { // a page takes longer than it may; its queries end with its connection
		c.config.Logger.LogAttrs(ctx, slog.LevelWarn, "coordination_console_cut_off", slog.Duration("after", shutdownTime))
		err = server.Close()
	}
	if closed := <-ended; !errors.Is(closed, http.ErrServerClosed) {
		err = errors.Join(err, closed)
	}
	if err != nil {
		return fmt.Errorf("ending the console: %w", err)
	}
	return nil
}
