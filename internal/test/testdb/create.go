package testdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

func (h *Host) newName(ctx context.Context) (string, error) {
	if h.owner == nil {
		return newName(0, time.Now()), nil
	}
	key, now, err := h.owner.claim(ctx)
	return newName(key, now), err
}

// clone makes a database. drop reports a connection that was never released to the pool.
func (h *Host) clone(ctx context.Context, migrated bool) (db *DB, drop func() error, err error) {
	if err := h.open(ctx); err != nil {
		return nil, nil, err
	}
	template := ""
	if migrated {
		if template, err = h.template(ctx); err != nil {
			return nil, nil, fmt.Errorf("making the template: %w", err)
		}
	}
	return h.copyOf(ctx, template, migrated)
}

// copyOf makes a database out of another one, or an empty one.
func (h *Host) copyOf(ctx context.Context, template string, migrated bool) (db *DB, drop func() error, err error) {
	name, err := h.newName(ctx)
	if err != nil {
		return nil, nil, err
	}
	url, config, err := h.address.in(name)
	if err != nil {
		return nil, nil, err
	}
	if err := h.create(ctx, name, template); err != nil {
		return nil, nil, fmt.Errorf("creating database %s: %w", name, err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err == nil {
		err = pool.Ping(ctx) // checks which database it reaches before a test writes
	}
	drop = func() error {
		var leak error
		if pool != nil {
			leak = closePool(pool, closeTimeout)
		}
		// The databases of a server that a test has killed are gone.
		h.drop(context.Background(), name)
		return leak
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("opening database %s: %w", name, err), drop())
	}
	return &DB{URL: url, Pool: pool, Distributed: h.cluster && migrated}, drop, nil
}

func (h *Host) drop(ctx context.Context, name string) {
	if h.cluster {
		h.dropOnCluster(ctx, name)
		return
	}
	_ = h.exec(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

func (h *Host) create(ctx context.Context, name, template string) error {
	if h.cluster {
		return h.createOnCluster(ctx, name, template)
	}
	if template == "" {
		if err := h.exec(ctx, "CREATE DATABASE "+name); err != nil {
			return err
		}
		return h.closePublic(ctx, name)
	}
	conn, err := pgx.ConnectConfig(ctx, h.address.admin)
	if err != nil {
		return err
	}
	copying, err := copying(ctx, conn)
	if err == nil {
		err = whileInUse(ctx, conn, template, "CREATE DATABASE "+name+" TEMPLATE "+template+copying)
	}
	return errors.Join(err, conn.Close(ctx))
}

// closePublic makes a new database alike on all versions: before 15, everyone may create objects in
// the schema public.
func (h *Host) closePublic(ctx context.Context, name string) error {
	_, config, err := h.address.in(name)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	return errors.Join(err, conn.Close(ctx))
}

// copying is how the server copies a template. Copying its files takes a checkpoint, which costs
// nothing without fsync. Then it takes a third of the time of writing each page to the log, which is
// the default. Version 14 knows no strategy: it copies files.
func copying(ctx context.Context, conn *pgx.Conn) (strategy string, err error) {
	err = conn.QueryRow(ctx, `SELECT CASE
		WHEN current_setting('fsync') = 'off' AND current_setting('server_version_num')::integer >= 150000 THEN ' STRATEGY file_copy'
		ELSE ''
	END`).Scan(&strategy)
	return strategy, err
}

// exec runs one statement on a connection of its own. CREATE DATABASE works only outside a transaction
// and alone.
func (h *Host) exec(ctx context.Context, sql string) error {
	conn, err := pgx.ConnectConfig(ctx, h.address.admin)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}
