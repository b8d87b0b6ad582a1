package soak_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit"
	"github.com/hoc-analytics/coordaudit/audit"
)

// outageChild is set for a child. It holds an outageSettings.
const outageChild = "COORDAUDIT_TEST_OUTAGE"

type outageSettings struct {
	Dir            string
	Lasts          time.Duration
	Rate           int // records offered a second
	MaxQueuedBytes int64
	MaxDirBytes    int64 // 0: the default
}

// outageResult is what a child prints.
type outageResult struct {
	Offered                 int64 // by Enqueue
	Took                    time.Duration
	Counts                  audit.RecorderCounts
	AlwaysAddedUp           bool
	PeakQueue               int64 // bytes, as the recorder counts them
	PeakHeap                int64 // above idle: system memory that the runtime holds for its heap
	PeakResident            int64 // above idle; 0 if the system does not report it
	P50, P99, P999, Longest time.Duration
}

// outage is the child: a recorder whose database is away, and producers that continue. It
// keeps no memory for each record, which would count as the recorder's.
func outage(ctx context.Context, encoded string) error {
	var settings outageSettings
	if err := json.Unmarshal([]byte(encoded), &settings); err != nil {
		return err
	}
	config := coordaudit.Config{Logger: slog.New(slog.DiscardHandler), Timeout: 200 * time.Millisecond}
	store, err := coordaudit.Open(ctx, "postgres://none@127.0.0.1:1/none?sslmode=disable", config)
	if err != nil {
		return err
	}
	defer store.Close()
	recorder, err := store.NewRecorder(coordaudit.RecorderConfig{
		SpoolDir:         settings.Dir,
		MaxQueuedBytes:   settings.MaxQueuedBytes,
		MaxQueuedRecords: 1 << 20, // so that the bytes are the bound
		MaxSpoolBytes:    settings.MaxDirBytes,
		RetryBudget:      time.Second,
	})
	if err != nil {
		return err
	}
	watch := watchMemory(recorder)
	result := offer(recorder, settings)
	watch.stop(&result)
	closeErr := recorder.Close(ctx)
	if errors.Is(closeErr, audit.ErrDropped) && settings.MaxDirBytes > 0 {
		closeErr = nil // the directory is full by design
	}
	result.Counts = recorder.Stats().Total()
	return errors.Join(closeErr, json.NewEncoder(os.Stdout).Encode(result))
}

// offer submits records at the rate, from several producers.
func offer(recorder *coordaudit.Recorder, settings outageSettings) outageResult {
	const producers = 4
	var running sync.WaitGroup
	var offered atomic.Int64
	var times [producers]histogram
	start := time.Now()
	for i := range producers {
		running.Go(func() {
			for n := 0; ; {
				elapsed := time.Since(start)
				if elapsed >= settings.Lasts {
					offered.Add(int64(n))
					return
				}
				for due := int(elapsed.Seconds() * float64(settings.Rate) / producers); n < due; n++ {
					rec := realisticRecord(n)
					before := time.Now()
					_ = recorder.Enqueue(rec) // what is dropped is counted
					times[i].add(time.Since(before))
				}
				time.Sleep(500 * time.Microsecond)
			}
		})
	}
	running.Wait()
	result := outageResult{Offered: offered.Load(), Took: time.Since(start)}
	all := &times[0]
	for i := range times[1:] {
		all.merge(&times[i+1])
	}
	result.P50, result.P99, result.P999, result.Longest = all.at(0.5), all.at(0.99), all.at(0.999), all.longest
	return result
}

func realisticRecord(n int) audit.Record {
	classes := audit.EnvelopeClasses()
	return audit.Record{
		AuditID:              uuid.New(),
		EnvelopeID:           fmt.Sprintf("envelope-%d", n%1000),
		EnvelopeClass:        classes[n%len(classes)],
		Decision:             audit.Applied,
		Reason:               fmt.Sprintf("no conflict with the %3d active envelopes; setpoint of unit %4d moves within its limits to %7d", n%20, n%1000, n),
		DecisionTimestamp:    time.Now(),
		ActiveEnvelopesCount: int32(n % 20),
		TenantID:             "acme",
	}
}

// watcher samples a recorder and the memory of its process.
type watcher struct {
	recorder *coordaudit.Recorder
	quit     chan struct{}
	done     chan struct{}

	idleHeap, idleResident int64
	result                 outageResult
}

func watchMemory(recorder *coordaudit.Recorder) *watcher {
	w := &watcher{recorder: recorder, quit: make(chan struct{}), done: make(chan struct{})}
	runtime.GC()
	w.idleHeap, w.idleResident = heapHeld(), resident()
	w.result.AlwaysAddedUp = true
	go w.watch()
	return w
}

func (w *watcher) watch() {
	defer close(w.done)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-w.quit:
			return
		case <-tick.C:
			w.sample()
		}
	}
}

func (w *watcher) sample() {
	stats := w.recorder.Stats()
	for _, counts := range stats.ByClass {
		if counts.Accepted != counts.AccountedFor() {
			w.result.AlwaysAddedUp = false
		}
	}
	w.result.PeakQueue = max(w.result.PeakQueue, stats.QueueBytes)
	w.result.PeakHeap = max(w.result.PeakHeap, heapHeld()-w.idleHeap)
	if now := resident(); now > 0 {
		w.result.PeakResident = max(w.result.PeakResident, now-w.idleResident)
	}
}

func (w *watcher) stop(result *outageResult) {
	close(w.quit)
	<-w.done
	w.sample()
	result.AlwaysAddedUp, result.PeakQueue = w.result.AlwaysAddedUp, w.result.PeakQueue
	result.PeakHeap, result.PeakResident = w.result.PeakHeap, w.result.PeakResident
}

func heapHeld() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapSys - stats.HeapReleased)
}

// resident is the memory that the process occupies, in bytes. It is 0 if the system does not
// report it.
func resident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, found := strings.Cut(string(status), "VmRSS:")
	var kib int64
	if _, err := fmt.Sscan(after, &kib); !found || err != nil {
		return 0
	}
	return kib << 10
}
