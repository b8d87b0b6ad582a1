package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/mod/sumdb/note"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/internal/pglocal"
	"github.com/hoc-analytics/coordaudit/seal"
	"github.com/hoc-analytics/coordaudit/sealer"
)

// sealedSite is a site whose trail is sealed and followed.
type sealedSite struct {
	*site
	pool        *pgxpool.Pool
	store       *coordaudit.Store
	writer      *contender
	signer      note.Signer
	verifier    note.Verifier
	checkpoints string // a directory
}

func withSealedSite(ctx context.Context, server *pglocal.Server, records int, work func(*sealedSite) error) error {
	return withSite(ctx, server, records, sealingConnections, []opening{openStore}, func(s *site) (err error) {
		keys, err := newKeys()
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "coordaudit-bench-")
		if err != nil {
			return fmt.Errorf("making a directory for checkpoints: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		pool, err := openPool(ctx, dsn{url: s.admin.Config().ConnString(), connections: sealingConnections})
		if err != nil {
			return err
		}
		defer pool.Close()
		return work(&sealedSite{
			site: s, pool: pool, store: coordaudit.New(pool, config()), writer: s.contenders[0],
			signer: keys.signer, verifier: keys.verifier, checkpoints: dir,
		})
	})
}

type keys struct {
	signer   note.Signer
	verifier note.Verifier
}

func newKeys() (k keys, err error) {
	private, public, err := seal.GenerateKey(rand.Reader, "bench.example/audit")
	if err != nil {
		return k, err
	}
	if k.signer, err = note.NewSigner(private); err != nil {
		return k, fmt.Errorf("reading the new key: %w", err)
	}
	if k.verifier, err = note.NewVerifier(public); err != nil {
		return k, fmt.Errorf("reading the new key: %w", err)
	}
	return k, nil
}

func (s *sealedSite) sealer(interval time.Duration) (*sealer.Sealer, error) {
	return sealer.New(s.pool, sealer.Config{
		Signer: s.signer, Export: sealer.Directory(s.checkpoints), Interval: interval, Logger: slog.New(slog.DiscardHandler),
	})
}

// busy returns how long the cores of the machine have worked since it started. The figure
// counts the server as well, and everything else, so nothing else may run.
func busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("reading the time that the cores worked: %w", err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	const tick = 10 * time.Millisecond
	worked := time.Duration(0)
	for i, field := range strings.Fields(first) {
		idle := i == 4 || i == 5 // idle and iowait
		if i == 0 || idle || i > 7 {
			continue
		}
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the time that the cores worked: %w", err)
		}
		worked += time.Duration(ticks) * tick
	}
	return worked, nil
}

// spent returns how long work took, and how long the machine's cores worked meanwhile.
func spent(work func() error) (took, worked time.Duration, err error) {
	before, err := busy()
	if err != nil {
		return 0, 0, err
	}
	started := time.Now()
	if err := work(); err != nil {
		return 0, 0, err
	}
	took = time.Since(started)
	after, err := busy()
	return took, after - before, err
}
