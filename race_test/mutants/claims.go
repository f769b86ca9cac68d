package main

// selects limits the tests: without one of these, a stress test may only hang.
const selects = "^TestSelect[A-Z]"

// ofClaims change waitq.Select and the claim that its waiters share.
var ofClaims = []mutation{
	{
		file: "internal/waitq/select.go", why: "a selection is not reused before its chosen arm was called",
		old: "unused = unused && (!s.in[chosen] || s.arms[chosen].Called())", new: "_ = 0", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a selection is not reused if a notifier took a waiter out of line",
		old: "unused = s.cases[i].Actions.Leave() && unused", new: "s.cases[i].Actions.Leave()", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "what a Select got is given back when it panics",
		old: "		s.cases[chosen].Actions.Undo()\n", new: "		_ = 0\n", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a Select that panics leaves its lines",
		old: "	defer s.leave()\n", new: "", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a Select leaves the other lines if a waker panics",
		old: "		if i < len(s.in) {\n			s.leave()\n		}\n", new: "", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a Select that panics withdraws before it leaves",
		old: "	s.claim.Withdraw()\n	defer", new: "	defer", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a Select whose Park fails withdraws before it leaves",
		old: "err != nil && s.claim.Withdraw()", new: "err != nil", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "the context is asked out of line",
		old: "	err = s.park(ctx)\n	unused := s.leave()\n	if err != nil {\n		err = ParkError(ctx, err)\n	}\n",
		new: "	if err = s.park(ctx); err != nil {\n		err = ParkError(ctx, err)\n	}\n	unused := s.leave()\n", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "in a bubble a Select gets a parker of the bubble",
		old: "	if InBubble() {\n		return wake.NewParker()\n	}\n", new: "", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "on a context that has ended a Select consumes nothing",
		old: "consume := ctx.Err() == nil", new: "consume := true", only: selects,
	},
	{
		file: "internal/waitq/select.go", why: "a case that is given twice is in line once",
		old: " || c.User == &s.claim {", new: " {", in: "await", only: "^TestHazardSelectWithTheSameCaseTwice$",
	},
	{
		file: "internal/waitq/select.go", why: "a case that another Select uses is refused",
		old: "		if c.User != nil {\n			panic(\"await: a Case is used by two Selects at the same time\")\n		}\n", new: "", in: "await", only: "^TestSelectOfACaseInUse$",
	},
	{
		file: "internal/waitq/waitq.go", why: "a waiter whose Select has its case is passed over",
		old: "		if !w.Waker.(*choice.Arm).Claim() {\n			return false\n		}\n",
		new: "		w.Waker.(*choice.Arm).Claim()\n", only: selects,
	},
}
