package auditmigrate

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// ask runs the data-loss check of every migration that is to be reverted, before the
// first one is reverted. Each migration checks again under its own lock, but by then
// the newer ones are gone, and the services that need them fail. The error names
// everything that would be destroyed, because --allow-data-loss permits all of it.
func (m *Migrator) ask(ctx context.Context, db *sql.DB, s schema, steps []step) (doing string, err error) {
	var refusals []string
	var refused error
	for _, source := range s.reverted(steps) {
		script, err := source.read()
		if err != nil {
			return "", err
		}
		for _, block := range script.asks {
			_, err := db.ExecContext(ctx, block)
			if err == nil {
				continue
			}
			if pgErr := pgError(err); pgErr == nil || pgErr.Code != stateRestrictViolation {
				return ": reverting " + source.name, err
			}
			refusals = append(refusals, "reverting "+source.name+": "+oneLine(err))
			refused = err
		}
	}
	if len(refusals) == 0 {
		return "", nil
	}
	// The text of the last one follows where the failure is explained.
	last := refusals[len(refusals)-1]
	refusals[len(refusals)-1] = strings.TrimSuffix(last, ": "+oneLine(refused))
	return ": " + strings.Join(refusals, "; "), refused
}

// reverted returns the migrations that the steps revert, newest first.
func (s schema) reverted(steps []step) []source {
	lowest := Latest
	for _, step := range steps {
		if step.direction == DirectionDown {
			lowest = min(lowest, step.version)
		}
	}
	var list []source
	for _, one := range slices.Backward(s.sources) {
		if _, ok := s.applied[one.version]; ok && one.version > lowest {
			list = append(list, one)
		}
	}
	return list
}
