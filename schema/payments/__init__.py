"""The payments subgraph: payments and refunds, escrow and payouts, the ledger, disputes and reconciliation."""

import strawberry

from domain import payments as domain
from domain.kernel import InvalidStateTransition
from domain.money import CurrencyMismatch
from domain.payments.providers import ProviderRefused, ProviderUnreachable
from domain.processes import intents
from resolvers import payments as resolvers
from schema.kernel import (
    AUTHENTICATED,
    PUBLIC,
    command,
    connection,
    depending,
    feed,
    in_person,
    in_session,
    make_subgraph,
    query,
)
from schema.payments.entities import (
    MANAGE,
    READ,
    RECONCILE,
    REFUND,
    REVIEW,
    Discrepancy,
    EscrowRelease,
    LedgerBalance,
    LedgerPosting,
    Order,
    Payment,
    PaymentDispute,
    PaymentIntent,
    PaymentMethod,
    PaymentProvider,
    PaymentStatusChanged,
    Payout,
    PayoutAccount,
    PayoutPolicy,
    ProviderHealth,
    ReconciliationRun,
    Refund,
    SellerBalance,
    SettledDay,
    Settlement,
)


@strawberry.type
class Query:
    payment = query(resolvers.payment, Payment | None, who=AUTHENTICATED)
    payments = query(resolvers.list_payments, connection(Payment), who=READ)
    payments_by_order = query(resolvers.payments_by_order, list[Payment], who=AUTHENTICATED)
    my_payments = query(resolvers.my_payments, connection(Payment), who=AUTHENTICATED)
    my_payment_methods = query(resolvers.my_payment_methods, list[PaymentMethod], who=AUTHENTICATED)
    fraud_queue = query(resolvers.fraud_queue, connection(Payment), who=REVIEW)
    payment_providers = query(resolvers.payment_providers, list[PaymentProvider], who=MANAGE)
    provider_health = query(resolvers.provider_health, list[ProviderHealth], who=MANAGE)
    returned_refunds = query(resolvers.returned_refunds, connection(Refund), who=READ)
    payment_disputes = query(resolvers.payment_disputes, connection(PaymentDispute), who=READ)
    payouts = query(resolvers.payouts, connection(Payout), who=AUTHENTICATED)
    all_payouts = query(resolvers.all_payouts, connection(Payout), who=READ)
    payout_accounts = query(resolvers.payout_accounts, list[PayoutAccount], who=AUTHENTICATED)
    payout_policy = query(resolvers.payout_policy, PayoutPolicy, who=AUTHENTICATED)
    escrow_balance = query(resolvers.escrow_balance, list[SellerBalance], who=AUTHENTICATED)
    ledger_balances = query(resolvers.ledger_balances, list[LedgerBalance], who=READ)
    ledger_postings = query(resolvers.ledger_postings, connection(LedgerPosting), who=READ)
    reconciliation_runs = query(resolvers.reconciliation_runs, connection(ReconciliationRun), who=READ)
    settlements = query(resolvers.settlements, connection(Settlement), who=READ)
    discrepancies = query(resolvers.discrepancies, connection(Discrepancy), who=READ)


@strawberry.type
class Mutation:
    refund_payment = command(
        resolvers.refund_payment,
        Refund,
        name="RefundPayment",
        errors=[domain.RefundExceedsPayment, CurrencyMismatch],
        who=in_person(depending("payments.refund")),
        key_required=True,
    )
    create_payment_intent = command(
        resolvers.create_payment_intent,
        PaymentIntent,
        errors=[intents.NotAwaitingPayment, ProviderRefused, ProviderUnreachable],
        who=in_person(PUBLIC),
        key_required=True,
    )
    confirm_payment = command(
        resolvers.confirm_payment,
        Payment,
        errors=[intents.NotAwaitingPayment],
        who=in_person(PUBLIC),
        key_required=True,
    )
    configure_provider = command(resolvers.configure_provider, PaymentProvider, who=in_session(in_person(MANAGE)))
    update_provider_credentials = command(
        resolvers.update_provider_credentials, PaymentProvider, who=in_session(in_person(MANAGE))
    )
    retry_refund = command(
        resolvers.retry_refund, Refund, errors=[InvalidStateTransition], who=REFUND, key_required=True
    )
    complete_refund = command(
        resolvers.complete_refund,
        Refund,
        name="CompleteRefund",
        errors=[domain.RefundSentByProvider, InvalidStateTransition],
        who=REFUND,
        key_required=True,
    )
    capture_payment = command(
        resolvers.capture_payment,
        Payment,
        errors=[InvalidStateTransition, ProviderRefused, ProviderUnreachable],
        who=MANAGE,
        key_required=True,
    )
    void_payment = command(
        resolvers.void_payment, Payment, errors=[InvalidStateTransition], who=MANAGE, key_required=True
    )
    release_escrow = command(
        resolvers.release_escrow, EscrowRelease, errors=[domain.EscrowFrozen], who=MANAGE, key_required=True
    )
    review_fraud = command(
        resolvers.review_fraud, Payment, errors=[InvalidStateTransition], who=REVIEW, key_required=True
    )
    submit_dispute_evidence = command(
        resolvers.submit_dispute_evidence, PaymentDispute, errors=[InvalidStateTransition], who=MANAGE
    )
    close_dispute = command(
        resolvers.close_dispute, PaymentDispute, errors=[InvalidStateTransition], who=MANAGE, key_required=True
    )
    save_payment_method = command(
        resolvers.save_payment_method, PaymentMethod, errors=[domain.CardNumberRefused], who=in_person(AUTHENTICATED)
    )
    delete_payment_method = command(resolvers.delete_payment_method, PaymentMethod, who=in_person(AUTHENTICATED))
    set_payout_account = command(
        resolvers.set_payout_account,
        PayoutAccount,
        errors=[domain.CardNumberRefused],
        who=in_session(in_person(AUTHENTICATED)),
    )
    request_payout = command(
        resolvers.request_payout,
        Payout,
        errors=[domain.NoPayoutAccount, domain.PayoutTooSmall],
        who=in_person(AUTHENTICATED),
        key_required=True,
    )
    cancel_payout = command(
        resolvers.cancel_payout,
        Payout,
        errors=[InvalidStateTransition],
        who=in_person(depending("payments.payout")),
        key_required=True,
    )
    update_payout_policy = command(resolvers.update_payout_policy, PayoutPolicy, who=MANAGE)
    create_settlement = command(resolvers.create_settlement, SettledDay, who=RECONCILE)
    process_settlement = command(
        resolvers.process_settlement, Settlement, errors=[InvalidStateTransition], who=RECONCILE
    )
    run_reconciliation = command(resolvers.run_reconciliation, ReconciliationRun, who=RECONCILE)
    resolve_discrepancy = command(
        resolvers.resolve_discrepancy, Discrepancy, errors=[InvalidStateTransition], who=RECONCILE
    )


@strawberry.type
class Subscription:
    payment_status_changed = feed(resolvers.payment_status_changed, PaymentStatusChanged, who=AUTHENTICATED)


subgraph = make_subgraph(query=Query, mutation=Mutation, subscription=Subscription, types=[Order])
