// Package bridge gives packages uringnet and uringfs what package uringwake does not
// export: the task that runs on this thread, and operations that they prepare, cancel
// and take the completions of themselves. Package uringwake sets the variables.
package bridge

import "context"

// Current returns the context of the task that calls it, or context.Background() in a
// goroutine. It is for methods that take no context, such as Read.
var Current func() context.Context = context.Background
