package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/hoc-analytics/coordaudit/internal/pglocal"
)

// grownSize is what a table takes that never had other indexes, and was filled by batches.
type grownSize struct {
	Writer    string      `json:"writer"`
	Rows      int         `json:"rows"`
	Relations []builtSize `json:"relations"`
}

// grow fills a table with each whole set of indexes. Building an index hides what it
// comes to: one that grows in many places at once splits its pages there.
func (c *indexesCommand) grow(ctx context.Context, server *pglocal.Server, log io.Writer) (grown []grownSize, err error) {
	for _, w := range wholeSets() {
		fmt.Fprintf(log, "bench: growing %s\n", w.name)
		size, err := c.growOne(ctx, server, w)
		if err != nil {
			return nil, fmt.Errorf("growing %s: %w", w.name, err)
		}
		grown = append(grown, size)
	}
	return grown, nil
}

func (c *indexesCommand) growOne(ctx context.Context, server *pglocal.Server, w writer) (size grownSize, err error) {
	t, err := openDietTables(ctx, server, c.tables(0))
	if err != nil {
		return size, err
	}
	defer func() { err = errors.Join(err, t.close(context.WithoutCancel(ctx))) }()
	if err := t.create(ctx, w.indexes); err != nil {
		return size, err
	}
	conn, err := pgx.Connect(ctx, t.url)
	if err != nil {
		return size, fmt.Errorf("connecting: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	next, stop := iter.Pull(t.fresh())
	defer stop()
	for size.Rows < c.Grown {
		if _, err := w.write(ctx, conn, next); err != nil {
			return size, err
		}
		size.Rows += dietBatch
	}
	size.Writer = w.name
	size.Relations, err = t.standing(ctx, w.table())
	for i := range size.Relations {
		size.Relations[i].Name = t.nameOf(size.Relations[i].Name)
	}
	return size, err
}

// create makes these candidates alone.
func (t *dietTables) create(ctx context.Context, names []string) error {
	for i, c := range t.candidates {
		for _, name := range names {
			if c.name != name {
				continue
			}
			if _, err := t.admin.Exec(ctx, "CREATE INDEX "+identifier(i)+" ON "+oursTable+" "+c.definition); err != nil {
				return fmt.Errorf("creating %s: %w", name, err)
			}
		}
	}
	return nil
}

// nameOf is a candidate's name for its identifier, and what it was given for others.
func (t *dietTables) nameOf(relation string) string {
	for i, c := range t.candidates {
		if identifier(i) == relation {
			return c.name
		}
	}
	return relation
}

// total is what a row takes in all.
func (g *grownSize) total() (bytes float64) {
	for _, r := range g.Relations {
		bytes += r.BytesPerRow
	}
	return bytes
}
