// Package deploy tests a whole deploy: several processes of cmd/migrate at once, on a database of each
// older version, while services write to it.
package deploy
