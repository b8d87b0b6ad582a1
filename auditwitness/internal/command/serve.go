package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit/auditwitness"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/seal"
)

type serveCommand struct {
	Listen string   `default:"127.0.0.1:8090" placeholder:"ADDRESS" help:"Where to listen, with plain HTTP. Put a server with TLS in front of it for other machines."`
	Key    string   `required:"" placeholder:"FILE" help:"The witness's private key, as keygen makes it. No one else may be able to read the file."`
	State  string   `required:"" placeholder:"DIR" help:"Where the last checkpoint of each log is kept. Never restore it from a backup."`
	Log    []string `required:"" sep:"none" placeholder:"KEY" help:"The public key of a log, or its file. Give it once for each log."`
}

// Run is called by kong.
func (c *serveCommand) Run(ctx context.Context, p *cli.Program) error {
	const tried = "serving a witness"
	signer, err := cli.LoadKey(tried, c.Key, seal.LoadWitnessSigner)
	if err != nil {
		return err
	}
	logs := make([]note.Verifier, 0, len(c.Log))
	for _, text := range c.Log {
		key, err := cli.LoadKey(tried, text, seal.LoadVerifier)
		if err != nil {
			return err
		}
		logs = append(logs, key)
	}
	logger := slog.New(slog.NewTextHandler(p.Stderr, nil))
	witness, err := auditwitness.NewServer(auditwitness.ServerConfig{Signer: signer, Logs: logs, Dir: c.State, Logger: logger})
	if err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	err = c.serve(ctx, p, signer.Witness().Name(), witness)
	if err = errors.Join(err, witness.Close()); err != nil {
		return &cli.ShownError{Tried: tried, Cause: err}
	}
	return nil
}

// The limits of a connection. A request has at most 72 KiB.
const (
	readTimeout  = 15 * time.Second
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	maxHeader    = 16 << 10
	endTimeout   = 20 * time.Second
)

// serve ends when ctx does, after the requests that it has begun to answer.
func (c *serveCommand) serve(ctx context.Context, p *cli.Program, name string, handler http.Handler) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	server := &http.Server{
		Handler: handler, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(p.Stderr, nil), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := p.Print(fmt.Sprintf("%s listens on http://%s/\n", name, listener.Addr())); err != nil {
		return errors.Join(err, server.Close())
	}
	select {
	case err = <-served:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	return errors.Join(server.Shutdown(ending), server.Close())
}
