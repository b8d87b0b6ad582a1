package soak_test

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// TestMain makes the test binary its own child, whose memory holds nothing else.
func TestMain(m *testing.M) {
	if settings := os.Getenv(outageChild); settings != "" {
		if err := outage(context.Background(), settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
