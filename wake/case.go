package wake

import "github.com/vigil-go/vigil/internal/choice"

// A Case is one thing that await.Select can wait for. The methods whose names begin with
// On make it, such as waitmap's Map.OnStore and await's Mutex.OnLock; other packages
// cannot implement it.
//
// A Case may be used again when the Select that used it has returned. No two Selects
// may use it at the same time, which panics if it is noticed. If one Select is given a Case
// twice, the first place counts.
type Case interface{ choice.Case }
