package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// batchSize bounds the records of one request.
const batchSize = 500

// forwarder posts the records of a trail to an endpoint.
type forwarder struct {
	store    *coordaudit.Store
	client   *http.Client
	endpoint string
	cursor   string // the file that keeps the place
	poll     time.Duration

	away string // who is away, so that it is logged once
}

// errRefused means that the endpoint does not take a batch, now or later. Nothing is skipped:
// a person has to look.
var errRefused = errors.New("the endpoint refused the batch")

// run forwards until ctx ends, and then returns nil.
func (f *forwarder) run(ctx context.Context) error {
	from, err := f.load()
	if err != nil {
		return err
	}
	q := audit.FollowQuery{Scope: audit.AllTenants(), From: audit.FromCursor(from), Limit: batchSize}
	for ctx.Err() == nil {
		page, err := f.store.FollowPage(ctx, q)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it was stopped
		case errors.Is(err, audit.ErrUnavailable):
			f.wait(ctx, "the database", err)
			continue
		case err != nil:
			return err
		}
		if err := f.deliver(ctx, page); err != nil || ctx.Err() != nil {
			return err
		}
		q.From = audit.FromCursor(page.Next)
		f.away = ""
		if !page.More {
			f.pause(ctx)
		}
	}
	return nil
}

// deliver posts a page until the endpoint has it, and then keeps the place after it.
func (f *forwarder) deliver(ctx context.Context, page audit.FollowPage) error {
	for len(page.Records) > 0 {
		err := f.post(ctx, page.Records)
		if err == nil {
			break
		}
		if errors.Is(err, errRefused) {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was stopped: the batch comes again
		}
		f.wait(ctx, "the endpoint", err)
	}
	return f.save(page.Cursor)
}

func (f *forwarder) post(ctx context.Context, records []audit.Followed) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for i := range records {
		if err := encoder.Encode(records[i].Record); err != nil {
			return fmt.Errorf("record %s: %w", records[i].AuditID, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.endpoint, &lines)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection is used again
	switch status := response.StatusCode; {
	case status < 300:
		return nil
	case status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		return fmt.Errorf("%w of records %s to %s: %s", errRefused, records[0].AuditID, records[len(records)-1].AuditID, response.Status)
	default:
		return errors.New(response.Status)
	}
}

// load reads the cursor. Without a file, forwarding begins at the beginning.
func (f *forwarder) load() (audit.Cursor, error) {
	text, err := os.ReadFile(f.cursor)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("reading the cursor: %w", err)
	}
	return audit.Cursor(strings.TrimSpace(string(text))), nil
}

// save replaces the file of the cursor, so that a crash leaves the old one or the new one.
func (f *forwarder) save(cursor audit.Cursor) error {
	file, err := os.CreateTemp(filepath.Dir(f.cursor), ".cursor-*")
	if err != nil {
		return fmt.Errorf("keeping the cursor: %w", err)
	}
	defer func() { _ = os.Remove(file.Name()) }() // it is gone if it was renamed
	_, err = file.WriteString(string(cursor) + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("keeping the cursor: %w", err)
	}
	if err := os.Rename(file.Name(), f.cursor); err != nil {
		return fmt.Errorf("keeping the cursor: %w", err)
	}
	return nil
}

// wait waits before another attempt.
func (f *forwarder) wait(ctx context.Context, who string, err error) {
	if f.away != who {
		f.away = who
		log.Printf("%s is away: %v", who, err)
	}
	f.pause(ctx)
}

func (f *forwarder) pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(f.poll):
	}
}
