# Reference numbers for Cox models, from R's survival package.
#
#   Rscript tests/oracle/cox.R        (from the project's folder)
#
# Writes tests/oracle/cox.json: for each cohort the coefficients with standard errors (model-based and
# clustered), log-likelihoods, the Efron baseline, and individual curves with log-log intervals for a
# few patients. The real cohorts are not part of the project: they are read from $RISKSCORE_COHORTS
# (default ../shared/cohorts), and their rules of inclusion are written here a second time, in R, as a
# check on the adapters. Only figures computed from them are written, never a row.
suppressMessages({library(survival); library(jsonlite)})

folder <- Sys.getenv("RISKSCORE_COHORTS", "../shared/cohorts")
days_per_month <- 365.25 / 12

describe <- function(data, formula, newdata, cluster = FALSE, at = NULL) {
  environment(formula) <- environment()  # where survfit will look for `data` again
  control <- coxph.control(eps = 1e-11, toler.chol = 1e-13, iter.max = 100)
  fit <- if (cluster) coxph(formula, data, ties = "efron", cluster = patient, control = control)
         else coxph(formula, data, ties = "efron", control = control)
  naive <- if (cluster) fit$naive.var else fit$var
  curve <- survfit(fit, newdata = newdata, conf.type = "log-log")
  events <- curve$n.event > 0
  keep <- if (is.null(at)) which(events) else findInterval(at, curve$time)
  list(rows = nrow(data), events = sum(fit$y[, 2]), coef = unname(coef(fit)),
       se = unname(sqrt(diag(fit$var))), se_model_based = unname(sqrt(diag(naive))),
       loglik = fit$loglik, times = curve$time[keep],
       survival = t(as.matrix(curve$surv)[keep, , drop = FALSE]),
       lower = t(as.matrix(curve$lower)[keep, , drop = FALSE]),
       upper = t(as.matrix(curve$upper)[keep, , drop = FALSE]),
       newdata = newdata)
}

out <- list(versions = list(R = R.version.string, survival = as.character(packageVersion("survival"))))

simulated <- read.csv("tests/oracle/simulated.csv")
four <- data.frame(
  tumor_number = c(0, 1, 0), vascular_invasion = c(0, 0, 1),
  extrahepatic_metastasis = c(0, 1, 0), treatment = c(0, 1, 0), age = c(60, 45, 75))
coded <- within(simulated, {
  tumor_number <- as.numeric(tumor_number == ">3")
  vascular_invasion <- as.numeric(vascular_invasion == "yes")
  extrahepatic_metastasis <- as.numeric(extrahepatic_metastasis == "yes")
  treatment <- as.numeric(treatment == "deb_tace_sorafenib")
})
formula <- Surv(os_months, death) ~ tumor_number + vascular_invasion + extrahepatic_metastasis +
  treatment + age
out$simulated <- describe(coded, formula, four)
out$simulated_clustered <- describe(within(coded, patient <- ceiling(patient / 3)), formula, four, TRUE)

seg_file <- file.path(folder, "hcc-tace-seg.csv")
if (file.exists(seg_file)) {
  seg <- read.csv(seg_file, na.strings = "")
  data <- data.frame(
    time = seg$OS * 7 / days_per_month, death = seg$Death_1_StillAliveorLostToFU_0,
    tumor_number = as.numeric(seg$tumor_nodul == "multinodular"),
    vascular_invasion = seg$Vascular.invasion, metastasis = seg$Metastasis,
    child_class = as.numeric(seg$CPS != "A"), afp = seg$AFP, age = seg$age)
  new <- data.frame(tumor_number = c(0, 1), vascular_invasion = c(0, 1), metastasis = 0,
                    child_class = c(0, 1), afp = c(10, 4000), age = c(70, 55))
  out$hcc_tace_seg <- describe(data, Surv(time, death) ~ tumor_number + vascular_invasion +
    metastasis + child_class + log(afp) + age, new, at = c(6, 12, 24, 36))

  visits <- read.csv(file.path(folder, "survivalpath-hcc-visits.csv"))
  visits <- visits[!duplicated(visits[c("patient", "day")]), ]
  visits <- subset(visits, OStime_day > 0 & Age >= 18 & Age <= 100 &
    Amount.of.Hepatic.Lesions > 0 & Largest.Diameter.of.Hepatic.Lesions > 0)
  data <- with(visits, data.frame(
    patient, day, time = OStime_day / days_per_month, death = Status_of_death,
    tumor_number = as.numeric(Amount.of.Hepatic.Lesions > 1),
    vascular_invasion = Vascular.Invasion, metastasis = Distant.Metastasis,
    largest_diameter = Largest.Diameter.of.Hepatic.Lesions / 10,
    child_class = as.numeric(Child_pugh_score >= 7), afp = pmax(AFP, 0.605), age = Age))
  formula <- Surv(time, death) ~ tumor_number + vascular_invasion + metastasis + largest_diameter +
    child_class + log(afp) + age
  new <- data.frame(tumor_number = c(0, 1), vascular_invasion = c(0, 1), metastasis = c(0, 0),
                    largest_diameter = c(3, 9), child_class = c(0, 1), afp = c(10, 4000),
                    age = c(60, 55))
  # First visits have a row a patient: nothing to cluster.
  out$survivalpath_first <- describe(subset(data, day == 0), formula, new, FALSE, c(6, 12, 24, 36))
  out$survivalpath_all <- describe(data, formula, new, TRUE, c(6, 12, 24, 36))
}
write_json(out, "tests/oracle/cox.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
