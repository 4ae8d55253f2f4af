// Package cause says why a context has ended.
package cause

import (
	"context"
	"fmt"
)

// Of returns nil while ctx goes on, and afterwards an error that is both ctx.Err() and the cause that its canceller gave. Without a
// cause it is ctx.Err() itself.
func Of(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil && cause != err {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
