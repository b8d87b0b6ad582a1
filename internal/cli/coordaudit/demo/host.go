package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/hoc-analytics/coordaudit/internal/auditdriver"
	"github.com/hoc-analytics/coordaudit/internal/cli"
	"github.com/hoc-analytics/coordaudit/internal/cli/coordaudit/shared"
	"github.com/hoc-analytics/coordaudit/internal/format"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// demoTimeout bounds each step of the demo that waits for a database.
const demoTimeout = 15 * time.Second

// stateForbidden is the SQLSTATE of a role that may not create databases.
const stateForbidden = "42501"

// demoHost is a database that only the demo uses.
type demoHost struct {
	config *pgxpool.Config
	about  string // one line on the server
	what   string // what stop removes
	stop   func() error
}

// startDemoHost uses the server that was named, or else starts one.
func startDemoHost(ctx context.Context, db *shared.Database) (*demoHost, error) {
	if db.URL != "" {
		return scratchDatabase(ctx, db)
	}
	return temporaryServer(ctx)
}

func temporaryServer(ctx context.Context) (*demoHost, error) {
	const tried = "starting a PostgreSQL for the demo"
	began := time.Now()
	server, err := pglocal.Start(ctx, pglocal.Config{Durable: true})
	if err != nil {
		// The lines after the first say how to get a server.
		cause, ways, _ := strings.Cut(err.Error(), "\n")
		next := "or name a server that runs, with --database-url or DATABASE_URL"
		if errors.Is(err, pglocal.ErrNoPrograms) {
			next = ways + "\n  " + next
		}
		return nil, &cli.ShownError{Tried: tried, Cause: errors.New(cause), Next: next}
	}
	host := &demoHost{
		about: fmt.Sprintf("PostgreSQL %s, private and temporary, started in %.1f s", server.Version(), time.Since(began).Seconds()),
		what:  "the server",
		stop:  server.Stop,
	}
	if host.config, err = pgxpool.ParseConfig(server.URL()); err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: errors.Join(err, host.stop())}
	}
	return host, nil
}

// scratchDatabase creates a database on the server that was named.
func scratchDatabase(ctx context.Context, db *shared.Database) (*demoHost, error) {
	const tried = "creating a scratch database for the demo"
	if err := db.Check(tried); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		return nil, &cli.ShownError{Tried: tried, Cause: err}
	}
	admin := config.ConnConfig.Copy()
	name := "coordaudit_demo_" + strings.ToLower(rand.Text()[:10])
	var version string
	err = onConnection(ctx, admin, func(ctx context.Context, conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
			return err
		}
		_, err := conn.Exec(ctx, "CREATE DATABASE "+name)
		return err
	})
	if err != nil {
		shown := shared.FailedIn(tried, auditdriver.ReadFailure(ctx, err))
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == stateForbidden {
			shown.Cause, shown.Next = pgErr, "name a role that may create databases"
		}
		shown.Next += ", or name no database at all: then the demo starts a server"
		shown.Next = strings.TrimPrefix(shown.Next, ", or ")
		return nil, shown
	}
	version, _, _ = strings.Cut(version, " ")
	config.ConnConfig.Database = name
	return &demoHost{
		config: config,
		about:  fmt.Sprintf("PostgreSQL %s at %s, in a scratch database: %s", version, admin.Host, name),
		what:   "the scratch database",
		stop: func() error {
			// Also after Ctrl-C. FORCE, because the server may not know yet that its clients are gone.
			return onConnection(context.WithoutCancel(ctx), admin, func(ctx context.Context, conn *pgx.Conn) error {
				_, err := conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)")
				return err
			})
		},
	}, nil
}

func onConnection(ctx context.Context, config *pgx.ConnConfig, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	return errors.Join(do(ctx, conn), conn.Close(ctx))
}

// psql is a command line for a shell. It has no password, because psql asks for one.
func (h *demoHost) psql() string {
	config := h.config.ConnConfig
	words := []string{"psql", "-h", config.Host, "-p", strconv.Itoa(int(config.Port)), "-U", config.User, config.Database}
	for i, word := range words {
		words[i] = quoted(word)
	}
	return strings.Join(words, " ")
}

// url is the database without a password, with a host that may be a directory.
func (h *demoHost) url() string {
	config := h.config.ConnConfig
	at := url.Values{"host": {config.Host}, "port": {strconv.Itoa(int(config.Port))}}
	return (&url.URL{Scheme: "postgres", User: url.User(config.User), Path: "/" + config.Database, RawQuery: at.Encode()}).String()
}

// quoted is a word for a shell.
func quoted(word string) string {
	if regexp.MustCompile(`^[\w./@:-]+$`).MatchString(word) {
		return word
	}
	return format.ShellQuoted(word)
}
