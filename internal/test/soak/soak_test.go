package soak_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	soakVariable = "COORDAUDIT_SOAK"
	seedVariable = "COORDAUDIT_SOAK_SEED"
)

// Random faults occur at random times, at random rates, while recorders follow each other on
// one spool. The counts add up at every moment and over all lives at the end. No accepted
// record is missing without a count and a gap. The seed repeats the choice of faults, not
// their effects.
func TestSoak(t *testing.T) {
	t.Parallel()
	text := os.Getenv(soakVariable)
	if text == "" {
		t.Skipf("make soak runs this test for the time in %s, such as 10m", soakVariable)
	}
	lasts, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	seed := seedOfSoak(t)
	t.Logf("soaking for %v; %s=%d repeats the choice of faults", lasts, seedVariable, seed)
	c := prepareSoak(t, seed)

	start := time.Now()
	report := func() {
		t.Logf("%4.0f s, life %d; %s; %s", time.Since(start).Seconds(), c.lives.now().number, c.summary(), c.lives.identity())
	}
	stop := c.unleash(seed)
	deadline, sample := time.After(lasts), time.NewTicker(100*time.Millisecond)
	defer sample.Stop()
	reports := time.NewTicker(min(30*time.Second, max(time.Second, lasts/4)))
	defer reports.Stop()
	for running := true; running; {
		select {
		case <-deadline:
			running = false
		case <-sample.C:
			c.lives.sample()
		case <-reports.C:
			report()
		}
	}
	stop()
	c.finish()
	report()
	c.lives.verify(c.pool)
	c.log.verify(t)
}

func seedOfSoak(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv(seedVariable)
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", seedVariable, err)
	}
	return seed
}
