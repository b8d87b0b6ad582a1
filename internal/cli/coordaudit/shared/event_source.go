package shared

import (
	"errors"
	"fmt"

	"github.com/hoc-analytics/coordaudit/internal/events"
)

// CheckEventSource refuses what cannot be the source of CloudEvents.
func CheckEventSource(text string) error {
	if text == "" {
		return errors.New("--event-source is empty; leave it out for coordaudit")
	}
	if err := events.CheckSource(text); err != nil {
		return fmt.Errorf("--event-source %w", err)
	}
	return nil
}
