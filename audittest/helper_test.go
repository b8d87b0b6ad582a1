package audittest_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/hoc-analytics/coordaudit/audit"
	"github.com/hoc-analytics/coordaudit/internal/test/fixture"
)

func newRecord() audit.Record {
	rec := fixture.NewRecord()
	rec.AuditID = uuid.Nil // the store makes one
	rec.DecisionTimestamp = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.FixedZone("", 3600))
	return rec
}

// inTest is the test around an Example, which has no *testing.T. Yours has one. end
// ends it.
func inTest() (t testing.TB, end func()) {
	test := &exampleTest{}
	return test, func() {
		for _, cleanup := range slices.Backward(test.cleanups) {
			cleanup()
		}
	}
}

type exampleTest struct {
	testing.TB
	cleanups []func()
}

func (*exampleTest) Helper()                  {}
func (*exampleTest) Context() context.Context { return context.Background() }
func (*exampleTest) Output() io.Writer        { return io.Discard }
func (e *exampleTest) Cleanup(f func())       { e.cleanups = append(e.cleanups, f) }

func (*exampleTest) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

func (*exampleTest) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

// failedTest runs a function that must fail a test, and returns the failure.
func failedTest(t *testing.T, run func(testing.TB)) string {
	t.Helper()
	test := &recordingTest{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		run(test)
	}()
	<-done
	for _, cleanup := range slices.Backward(test.cleanups) {
		cleanup()
	}
	return test.text
}

type recordingTest struct {
	testing.TB
	text     string
	cleanups []func()
}

func (r *recordingTest) Cleanup(f func())                  { r.cleanups = append(r.cleanups, f) }
func (r *recordingTest) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) }

func (r *recordingTest) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic("the test ends here")
}
