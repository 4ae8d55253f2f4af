// Package wait lets those wait for their turn who share what few can use at a time.
package wait

import (
	"context"

	"github.com/gogemma/gemma4/internal/cause"
)

// Turn takes one of a channel's places, unless ctx ends before there is one: then it is [cause.Of] of ctx. Whose context has ended gets
// none, even if one is free, where a select would take either. A place is given back by receiving.
func Turn(ctx context.Context, places chan<- struct{}) error {
	if err := cause.Of(ctx); err != nil {
		return err
	}
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cause.Of(ctx)
	}
}
