// Package day is a day in the life of a trail, with the built programs, roles of their own, and
// the exit code of each step: deploy, write, seal, kill, restore to a point in time, examine,
// expire, prove, erase, verify.
package day
