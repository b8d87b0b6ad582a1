package importer

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/hoc-analytics/coordaudit/internal/jsonl"
)

func TestInterruptibleRead(t *testing.T) {
	t.Parallel()
	idle, feed := io.Pipe()
	defer func() { _ = feed.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	in, stop := interruptible(ctx, idle)
	defer stop()
	if _, err := jsonl.NewReader(in).Next(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("%v; want an error that is not the end of the input", err)
	}
}
