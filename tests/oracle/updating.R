# A Cox model of every other patient, looked at on the others: R's glm for the likelihood with the
# model's own cumulative hazard as exposure, coxph for the partial likelihoods and the baselines.
suppressMessages({library(survival); library(jsonlite)})
options(digits = 17)
control <- coxph.control(eps = 1e-12, iter.max = 100, toler.chol = 1e-14)
d <- read.csv("tests/oracle/simulated.csv")
d$x1 <- as.numeric(d$tumor_number == ">3"); d$x2 <- as.numeric(d$vascular_invasion == "yes")
d$x3 <- as.numeric(d$extrahepatic_metastasis == "yes")
d$x4 <- as.numeric(d$treatment == "deb_tace_sorafenib")
form <- Surv(os_months, death) ~ x1 + x2 + x3 + x4 + age
old <- d[d$patient %% 2 == 1, ]; new <- d[d$patient %% 2 == 0, ]
parent <- coxph(form, old, ties = "efron", control = control)
base <- basehaz(parent, centered = FALSE)
H0 <- stepfun(base$time, c(0, base$hazard))
limit <- max(old$os_months)
new$lp <- drop(as.matrix(new[names(coef(parent))]) %*% coef(parent))

# One row a patient and interval, while followed and within the parent's own follow-up.
time <- pmin(new$os_months, limit); event <- new$death == 1 & new$os_months <= limit
edges <- c(6, 12, max(time))
rows <- do.call(rbind, lapply(seq_along(edges), function(k) {
  from <- c(0, edges)[k]; to <- edges[k]
  data.frame(new, k = k, H = (H0(pmin(time, to)) - H0(pmin(time, from))) * exp(new$lp),
             y = as.numeric(event & time > from & time <= to))
}))
stopifnot(!any(rows$H == 0 & rows$y == 1))
rows <- rows[rows$H > 0, ]
exact <- glm.control(epsilon = 1e-14, maxit = 100)
fit <- function(formula, data) glm(formula, poisson, data, offset = log(H), control = exact)
known <- function(data) -sum(data$H) + sum(data$y * log(data$H))
refit <- fit(y ~ 0 + factor(k) + x1 + x2 + x3 + x4 + age, rows)
intervals <- fit(y ~ 0 + factor(k), rows)
whole <- data.frame(H = tapply(rows$H, rows$patient, sum), y = tapply(rows$y, rows$patient, sum))
large <- fit(y ~ 1, whole)
# The Poisson log likelihood less log(y!), which is 0 for an indicator.
lr <- function(model, data) 2 * (as.numeric(logLik(model)) - known(data))

anew <- coxph(form, new, ties = "efron", control = control)
slope <- coxph(Surv(os_months, death) ~ lp, new, ties = "efron", control = control)
kept <- coxph(Surv(os_months, death) ~ offset(lp), new, ties = "efron", control = control)
partial <- function(small) 2 * (anew$loglik[2] - tail(small$loglik, 1))
p <- function(x, df) pchisq(x, df, lower.tail = FALSE)
test <- function(x, df) list(chi_square = x, df = df, p = p(x, df))
at <- c(6, 12, 18)
curve <- function(fit, lp) { # survival of a patient whose linear predictor is lp
  s <- survfit(fit, newdata = data.frame(lp = lp), se.fit = FALSE, censor = FALSE)
  summary(s, times = at)$surv
}
out <- list(
  edges = edges, coef = as.list(coef(parent)),
  observed = sum(event), expected = sum(rows$H),
  by_interval = list(observed = as.numeric(tapply(rows$y, rows$k, sum)),
                     expected = as.numeric(tapply(rows$H, rows$k, sum))),
  large = c(list(ratio = unname(exp(coef(large)))), list(se = unname(sqrt(vcov(large)[1, 1]))),
            test(lr(large, whole), 1)),
  intercepts = unname(coef(intervals)),
  original = test(lr(refit, rows), length(edges) + 5),
  baseline = test(partial(kept), 5), slope_only = test(partial(slope), 4),
  slope = list(value = unname(coef(slope)), se = sqrt(vcov(slope)[1, 1])),
  log_likelihood = list(baseline = tail(kept$loglik, 1), slope = slope$loglik[2], refit = anew$loglik[2]),
  refit = as.list(coef(anew)),
  curves = list(at = at, patient = new$patient[1:3],
                baseline = lapply(new$lp[1:3], function(l) curve(kept, l)),
                slope = lapply(new$lp[1:3], function(l) curve(slope, l))),
  versions = list(R = R.version.string, survival = as.character(packageVersion("survival")))
)
write_json(out, "tests/oracle/updating.json", digits = NA, auto_unbox = TRUE)
