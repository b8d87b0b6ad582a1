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

// Random faults at random times, random rates, recorders that follow each other on
// one directory: at every moment, and over all of it at the end, the counts add up,
// and nothing that was accepted is missing without a count and a gap. The seed
// repeats the choice of faults, not what they meet.
func TestSoak(t *testing.T) {
	t.Parallel()
	text := os.Getenv(soakVariable)
	if text == "" {
		t.Skipf("make soak runs it: it takes the time that %s says, such as 10m", soakVariable)
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
	calm := c.unleash(seed)
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
	calm()
	c.settle()
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
