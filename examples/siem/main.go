// Command siem follows the trail and posts its records, in batches of JSON Lines, to an HTTP
// endpoint. It keeps its place in a file, and survives its own death and the database's:
//
//	DATABASE_URL=… SIEM_URL=https://siem.example/ingest CURSOR=siem.cursor go run ./examples/siem
//
// The endpoint gets each record at least once. It must be idempotent by audit_id, as the usual
// ones are.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hoc-analytics/coordaudit"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	store, err := coordaudit.Open(ctx, os.Getenv("DATABASE_URL"), coordaudit.Config{})
	if err != nil {
		return err
	}
	defer store.Close()
	f := forwarder{
		store: store, endpoint: os.Getenv("SIEM_URL"), cursor: os.Getenv("CURSOR"),
		client: &http.Client{Timeout: 30 * time.Second}, poll: time.Second,
	}
	return f.run(ctx)
}
