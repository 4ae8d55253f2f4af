package main

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatCannotBeKeptIsTriedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var tries []int // seconds after the one before
		last := time.Now()
		whenIdle(ctx, func() bool { return true }, func(context.Context) error {
			tries = append(tries, int(time.Since(last).Seconds()))
			last = time.Now()
			if len(tries) == 16 {
				stop()
			}
			if n := len(tries); n < 3 || n == 14 {
				return nil
			}
			return errors.New("full")
		})
		if got := fmt.Sprint(tries); got != "[5 5 5 10 20 40 80 160 320 640 1280 2560 3600 3600 5 10]" {
			t.Errorf("tried after %s seconds", got)
		}
		busy := 0
		ctx, stop = context.WithCancel(t.Context())
		whenIdle(ctx, func() bool {
			if busy++; busy == 3 {
				stop()
			}
			return false
		}, func(context.Context) error { t.Error("kept while there is something else to do"); return nil })
	})
}
